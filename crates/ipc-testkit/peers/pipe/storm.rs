//! Roles that are interrupted ten thousand times a second, by a handler without SA_RESTART.
#![expect(unsafe_code, reason = "sigaction is unsafe for what the handler does, setitimer takes a pointer")]

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_pipe::{Error, Fifo, PipeEnd, copy, pipe};
use ipc_sys::{Deadline, poll};
use ipc_testkit::WATCHDOG;
use ipc_testkit::role::{Result, say};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static INTERRUPTS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    INTERRUPTS.fetch_add(1, Ordering::Relaxed);
}

fn begin() -> Result {
    let action = SigAction::new(SigHandler::Handler(count), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler adds to an atomic and nothing else, which is async-signal-safe.
    unsafe { sigaction(Signal::SIGALRM, &action) }?;
    let each = libc::timeval { tv_sec: 0, tv_usec: 100 };
    let timer = libc::itimerval { it_interval: each, it_value: each };
    // SAFETY: `timer` is alive during the call; a null old value is allowed.
    let result = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(result, 0);
    Ok(())
}

fn end() -> u64 {
    INTERRUPTS.load(Ordering::Relaxed)
}

/// The stream that both sides know.
fn pattern(at: usize) -> u8 {
    at.wrapping_mul(31).to_le_bytes()[0] ^ (at >> 8).to_le_bytes()[0]
}

/// PATH LEN: writes so many bytes, in each way that there is.
pub(crate) fn writer(arguments: &[String]) -> Result {
    let len: usize = arguments[1].parse()?;
    begin()?;
    let mut writer = Fifo::open(&arguments[0])?.writer_timeout(WATCHDOG)?;
    let (mut sent, mut turn) = (0, 0);
    while sent < len {
        turn += 1;
        let rest: Vec<u8> = (sent..len.min(sent + 50_000)).map(pattern).collect();
        sent += match turn % 3 {
            0 => writer.write(&rest)?,
            1 => writer.write_timeout(&rest, WATCHDOG)?,
            _ => {
                writer.write_atomic(&rest[..rest.len().min(4096)])?;
                rest.len().min(4096)
            }
        };
    }
    drop(writer);
    say(end())
}

/// PATH: reads to the end in each way that there is; says how many bytes, and how often it was interrupted.
pub(crate) fn reader(arguments: &[String]) -> Result {
    begin()?;
    let mut reader = Fifo::open(&arguments[0])?.reader_timeout(WATCHDOG)?;
    let (mut came, mut turn, mut buffer) = (0, 0, vec![0; 70_000]);
    let (mut through, to) = pipe()?;
    loop {
        turn += 1;
        let len = match turn % 3 {
            0 => reader.read(&mut buffer)?,
            1 => reader.read_timeout(&mut buffer, WATCHDOG)?,
            _ => {
                let moved = reader.splice_to(&to, 30_000)?;
                through.read_exact(&mut buffer[..moved])?;
                moved
            }
        };
        if len == 0 {
            break;
        }
        for (at, byte) in buffer[..len].iter().enumerate() {
            assert_eq!(*byte, pattern(came + at), "byte {}", came + at);
        }
        came += len;
    }
    drop(to);
    assert_eq!(copy(&through, &std::fs::File::options().write(true).open("/dev/null")?)?, 0);
    say(format_args!("{came} {}", end()))
}

/// How much too late waits of 20 ms end, at best, in microseconds: ours, and a bare ppoll's.
pub(crate) fn deadlines(arguments: &[String]) -> Result {
    begin()?;
    let fifo = Fifo::open(&arguments[0])?;
    let (reader, writer) = pipe()?;
    writer.write_atomic(&[0; 4096])?;
    writer.set_capacity(4096)?;
    let (empty, _writer) = pipe()?;
    let wait = Duration::from_millis(20);
    let best = |call: &dyn Fn() -> Option<Error>| {
        let late = |_| {
            let start = Instant::now();
            let end = call();
            assert!(matches!(end, Some(Error::TimedOut { .. })), "it was meant to time out: {end:?}");
            start.elapsed().checked_sub(wait).expect("it ended too early")
        };
        (0..5).map(late).min().unwrap().as_micros()
    };
    let control = best(&|| {
        let ready = poll::wait(&empty, libc::POLLIN, Deadline::after(wait)).ok()?;
        ready.is_none().then_some(Error::TimedOut { operation: "ppoll" })
    });
    let ours = [
        best(&|| empty.read_timeout(&mut [0], wait).err()),
        best(&|| writer.write_timeout(&[0], wait).err()),
        best(&|| fifo.reader_timeout(wait).err()),
        best(&|| fifo.writer_timeout(wait).err()),
    ];
    drop(reader);
    say(format_args!("{} {control}", ours.iter().max().unwrap()))
}

/// PATH: the naive twin: read(2) as it is, and how often it failed with EINTR.
pub(crate) fn twin(arguments: &[String]) -> Result {
    let fifo = Fifo::open(&arguments[0])?.keep_alive_reader()?;
    begin()?;
    let mut interrupted = 0;
    for _ in 0..100 {
        interrupted += usize::from(nix::unistd::read(&fifo, &mut [0; 16]) == Err(nix::errno::Errno::EINTR));
    }
    say(interrupted)
}
