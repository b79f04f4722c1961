//! A7: a writer that is killed inside a frame leaves whole frames, and the news that one is not.

use std::io::{self, Read};

use ipc_frame::{Error, FrameReader};
use ipc_pipe::{Fifo, PipeReader};
use ipc_testkit::{Peer, name, peer, proof, repetitions_or_long, report};

const LEN: usize = 1 << 20;

/// Kills the writer after so many bytes.
struct Deadly {
    pipe: PipeReader,
    writer: Peer,
    left: usize,
}

impl Read for Deadly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.writer.kill();
            return self.pipe.read(buffer);
        }
        let most = buffer.len().min(self.left);
        let len = self.pipe.read(&mut buffer[..most])?;
        self.left -= len;
        Ok(len)
    }
}

#[test]
fn a7_a_writer_killed_inside_a_frame_leaves_no_half_of_it() {
    let (count, seed) = (repetitions_or_long(100, 2_000, 10_000), report::seed());
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = name::directory();
    let path = directory.path().join("fifo");
    let fifo = Fifo::create(&path).unwrap();
    let (mut whole, mut cut) = (0, 0);
    for _ in 0..count {
        let pipe = fifo.try_reader().unwrap();
        let mut writer = peer!("peer-pipe", "frame_writer", path.display(), LEN);
        writer.expect("ready");
        let mut reader = FrameReader::new(Deadly { pipe, writer, left: random.usize(..2 * LEN) }, LEN);
        let mut serial = 0_u32;
        loop {
            match reader.recv() {
                Ok(Some(frame)) => {
                    let (head, rest) = frame.split_at(4);
                    assert_eq!((head, frame.len()), (&serial.to_le_bytes()[..], LEN));
                    assert!(rest.iter().all(|byte| *byte == serial.to_le_bytes()[0]));
                    serial += 1;
                }
                Ok(None) => break,
                Err(Error::Truncated { got, len }) => {
                    // The naive twin, a reader that takes what came before the end, would hand this out.
                    assert!(got > 0 && got < len);
                    cut += 1;
                    break;
                }
                Err(error) => panic!("{error}; seed {seed}"),
            }
        }
        whole += serial;
    }
    assert!(cut > count / 2, "the writers were killed between frames");
    proof!(
        "A7",
        "{count} writers killed: {whole} whole frames, {cut} cut ones told (a naive reader takes all {cut} for data); seed {seed}"
    );
}
