//! Roles that write into a FIFO of the test's.

use std::io::Write;

use ipc_pipe::{Error, Fifo, PIPE_BUF};
use ipc_testkit::role::{Result, hear, say};

/// The header of a record: total length, CRC of the rest.
const HEADER: usize = 8;

/// PATH COUNT SEED: records of every length up to PIPE_BUF, each in one piece.
pub(crate) fn atomic(arguments: &[String]) -> Result {
    let (path, count, seed) = (&arguments[0], arguments[1].parse()?, arguments[2].parse()?);
    let writer = Fifo::open(path)?.writer()?;
    say("ready")?;
    hear()?;
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..count {
        let mut record = vec![0; random.usize(HEADER + 1..=PIPE_BUF)];
        random.fill(&mut record[HEADER..]);
        let (len, crc) = (u32::try_from(record.len())?, crc32fast::hash(&record[HEADER..]));
        record[..4].copy_from_slice(&len.to_le_bytes());
        record[4..HEADER].copy_from_slice(&crc.to_le_bytes());
        writer.write_atomic(&record)?;
        if random.u8(..) == 0 {
            let refused = writer.write_atomic(&[0xff; PIPE_BUF + 1]);
            assert!(matches!(refused, Err(Error::TooLong { len: 4097, max: 4096 })));
        }
    }
    Ok(())
}

/// PATH COUNT LEN WRITER: the naive twin: records of LEN bytes that are all the same, written as they come.
pub(crate) fn plain(arguments: &[String]) -> Result {
    let (path, count, len): (_, u8, usize) = (&arguments[0], arguments[1].parse()?, arguments[2].parse()?);
    let tag: u8 = arguments[3].parse()?;
    let mut writer = Fifo::open(path)?.writer()?;
    say("ready")?;
    hear()?;
    for serial in 0..count {
        writer.write_all(&vec![tag * 64 + serial % 64; len])?;
    }
    Ok(())
}

/// PATH: opens it, says so and writes nothing.
pub(crate) fn silent(arguments: &[String]) -> Result {
    let _writer = Fifo::open(&arguments[0])?.writer()?;
    say("ready")?;
    hear()?;
    Ok(())
}
