//! A1: up to PIPE_BUF nothing is torn, however many write.

use std::io::Read;

use ipc_pipe::{Fifo, PIPE_BUF, PipeEnd};
use ipc_testkit::{Peer, name, peer, proof, repetitions, report};

const WRITERS: usize = 4;

/// All that the writers send into a FIFO of one page, which makes them wait in mid-stream.
fn collect(start: impl Fn(&str, usize) -> Peer) -> Vec<u8> {
    let directory = name::directory();
    let path = directory.path().join("fifo");
    let fifo = Fifo::create(&path).unwrap();
    let mut reader = fifo.try_reader().unwrap();
    assert_eq!(reader.set_capacity(PIPE_BUF).unwrap(), PIPE_BUF);
    let mut writers: Vec<Peer> = (0..WRITERS).map(|number| start(path.to_str().unwrap(), number)).collect();
    for writer in &mut writers {
        writer.expect("ready");
    }
    for writer in &mut writers {
        writer.tell("go");
    }
    // All of them are in mid-stream before the first byte is read.
    writers.iter().for_each(|writer| writer.until_asleep_in(libc::SYS_pwritev2));
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    writers.into_iter().for_each(Peer::finish);
    bytes
}

#[test]
fn a1_records_up_to_pipe_buf_are_never_torn() {
    let (each, seed) = (repetitions(500, 2500), report::seed());
    let bytes = collect(|path, number| {
        peer!("peer-pipe", "atomic_writer", path, each, seed.wrapping_add(number as u64))
    });
    let mut records = 0;
    let mut rest = bytes.as_slice();
    while let Some((header, after)) = rest.split_at_checked(8) {
        let len = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let crc = u32::from_le_bytes(header[4..].try_into().unwrap());
        let payload = &after[..len - 8];
        assert_eq!(crc32fast::hash(payload), crc, "record {records} is torn; seed {seed}");
        rest = &after[len - 8..];
        records += 1;
    }
    assert_eq!((records, rest.len()), (WRITERS * each, 0));

    // The control: one byte more, and the writes of several mix.
    let (each, len) = (200, PIPE_BUF + 1);
    let control = || {
        let bytes = collect(|path, number| peer!("peer-pipe", "plain_writer", path, each, len, number));
        let whole = bytes.chunk_by(|left, right| left == right).filter(|run| run.len() == len).count();
        100 - 100 * whole / (WRITERS * each)
    };
    // How much they mix is up to the scheduler: a machine that runs them one after another has more runs to show it.
    let torn = (0..50).map(|_| control()).find(|torn| *torn > 50);
    let torn = torn.expect("the control never tore half of the records: the test would not notice");
    proof!(
        "A1",
        "{records} records of 9 to 4096 bytes, 0 torn; control of 4097 bytes torn {torn} %; seed {seed}"
    );
}
