//! Roles that open a FIFO and wait for the other side.

use std::fs::OpenOptions;
use std::time::{Duration, Instant};

use ipc_pipe::{Error, Fifo};
use ipc_testkit::audit::Audit;
use ipc_testkit::role::{Result, say};
use ipc_testkit::{WATCHDOG, until};

/// PATH COUNT SEED: gives up after 0 to 5 ms, as reader and as writer; says by how many microseconds too late at best
/// and at worst.
pub(crate) fn in_vain(arguments: &[String]) -> Result {
    let (path, count, seed): (_, u32, u64) = (&arguments[0], arguments[1].parse()?, arguments[2].parse()?);
    let fifo = Fifo::open(path)?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut late = Vec::new();
    let audit = Audit::begin();
    for _ in 0..count {
        let timeout = Duration::from_micros(random.u64(..5000));
        let start = Instant::now();
        if random.bool() {
            assert!(matches!(fifo.reader_timeout(timeout), Err(Error::TimedOut { .. })));
        } else {
            assert!(matches!(fifo.writer_timeout(timeout), Err(Error::TimedOut { .. })));
        }
        let took = start.elapsed();
        assert!(took >= timeout, "too early");
        assert!(took < timeout + WATCHDOG, "hung for {took:?}");
        late.push((took - timeout).as_micros());
    }
    // The thread that waited in open may be closing its last descriptor still.
    until("the end of the threads", || std::fs::read_dir("/proc/self/task").unwrap().count() == 1);
    audit.end();
    assert!(matches!(fifo.try_writer(), Err(Error::NoReader { .. })), "a reading end is left open");
    late.sort_unstable();
    say(format_args!("{} {}", late[0], late[late.len() - 1]))
}

/// PATH: the naive twin: open(2), which has no deadline.
pub(crate) fn for_ever(arguments: &[String]) -> Result {
    say("opening")?;
    OpenOptions::new().write(true).open(&arguments[0])?;
    say("opened")
}

/// PATH MS: opens it for writing within this time, writes a byte.
pub(crate) fn writer(arguments: &[String]) -> Result {
    let timeout = Duration::from_millis(arguments[1].parse()?);
    say("opening")?;
    let writer = Fifo::open(&arguments[0])?.writer_timeout(timeout)?;
    writer.write_atomic(b"x")?;
    say("opened")
}

/// PATH MS: opens it for reading within this time, reads a byte.
pub(crate) fn reader(arguments: &[String]) -> Result {
    let timeout = Duration::from_millis(arguments[1].parse()?);
    say("opening")?;
    let reader = Fifo::open(&arguments[0])?.reader_timeout(timeout)?;
    assert_eq!(reader.read_timeout(&mut [0; 8], timeout)?, 1);
    say("opened")
}
