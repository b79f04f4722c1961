//! A frame reader against a peer that sends anything, in pieces of any length: no panic, no frame above the cap, no more
//! room than twice what has come; and what was framed by us comes out whole.
#![no_main]

use ipc_frame::{Decoder, Error, FrameReader, FrameWriter, HEADER_LEN};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, u8, Vec<u8>)| {
    let (max, piece, bytes) = (usize::from(input.0), usize::from(input.1) + 1, input.2);
    hostile(max, piece, &bytes);
    typed(max, &bytes);
    faithful(piece, &bytes);
});

fn hostile(max: usize, piece: usize, bytes: &[u8]) {
    let mut decoder = Decoder::new(max);
    let mut given = 0;
    let mut came = 0;
    for chunk in bytes.chunks(piece) {
        let mut chunk = chunk;
        while !chunk.is_empty() {
            let space = decoder.space();
            assert!(!space.is_empty() && space.len() <= (2 * came).max(16 * 1024));
            let len = space.len().min(chunk.len());
            space[..len].copy_from_slice(&chunk[..len]);
            decoder.filled(len);
            came += len;
            chunk = &chunk[len..];
        }
        loop {
            match decoder.pop() {
                Ok(Some(frame)) => {
                    assert!(frame.len() <= max);
                    given += HEADER_LEN + frame.len();
                }
                Ok(None) => break,
                Err(Error::TooLong { len, .. }) => {
                    assert!(len > max && decoder.pop().is_err() && decoder.finish().is_err());
                    return;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(given + decoder.remainder().len(), bytes.len());
    assert_eq!(decoder.finish().is_ok(), decoder.remainder().is_empty());
}

fn typed(max: usize, bytes: &[u8]) {
    let mut reader = FrameReader::new(bytes, max);
    loop {
        match reader.recv_value::<(u64, &str, Vec<Option<i32>>)>() {
            Ok(None) | Err(Error::TooLong { .. } | Error::Truncated { .. }) => return,
            Ok(Some(_)) | Err(_) => {}
        }
    }
}

fn faithful(piece: usize, bytes: &[u8]) {
    let mut stream = Vec::new();
    let mut writer = FrameWriter::new(&mut stream, piece);
    for frame in bytes.chunks(piece) {
        writer.send(frame).expect("a Vec takes all");
    }
    drop(writer);
    let mut reader = FrameReader::new(stream.as_slice(), piece);
    for frame in bytes.chunks(piece) {
        assert_eq!(reader.recv().expect("whole"), Some(frame));
    }
    assert_eq!(reader.recv().expect("the end"), None);
}
