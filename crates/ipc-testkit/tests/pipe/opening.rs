//! A3: opening a FIFO meets whoever waits already, and gives up in time where nobody comes.

use std::time::Duration;

use ipc_pipe::{Error, Fifo};
use ipc_testkit::{WATCHDOG, name, peer, proof, repetitions, report, timed};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

#[test]
fn a3_a_peer_that_waits_in_open_is_met() {
    let directory = name::directory();
    let path = directory.path().join("fifo");
    let fifo = Fifo::create(&path).unwrap();
    let shown = path.display();
    let watch = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
    watch.add_watch(&path, AddWatchFlags::IN_OPEN).unwrap();

    // Both wait in the plain open(2); the naive twin, a watch of the FIFO, sees none of it.
    let mut writer = peer!("peer-pipe", "opens_for_ever", shown);
    writer.expect("opening");
    writer.until_asleep_in(libc::SYS_openat);
    let seen = watch.read_events().is_ok();
    drop(fifo.reader_timeout(WATCHDOG).unwrap());
    writer.expect("opened");
    writer.finish();
    let _ = watch.read_events();

    let mut reader = peer!("peer-pipe", "reader", shown);
    reader.until_asleep_in(libc::SYS_openat);
    let seen = seen || watch.read_events().is_ok();
    drop(fifo.writer_timeout(WATCHDOG).unwrap());
    reader.expect("ready");
    reader.kill();
    assert!(!seen, "inotify saw a peer that waits in open: the thread is no longer needed");

    // Both wait in ours, and a plain open comes.
    let mut writer = peer!("peer-pipe", "opens_writer", shown, 2000);
    writer.expect("opening");
    writer.until_asleep_in(libc::SYS_futex);
    let late = fifo.reader().unwrap();
    writer.expect("opened");
    // Its end must be closed before the next peer opens, or that one has nothing to wait for.
    writer.finish();
    drop(late);
    let mut reader = peer!("peer-pipe", "opens_reader", shown, 2000);
    reader.expect("opening");
    reader.until_asleep_in(libc::SYS_ppoll);
    let late = fifo.writer().unwrap();
    // Met without a byte; the second wait is for the byte.
    reader.until_asleep_in(libc::SYS_ppoll);
    late.write_atomic(b"x").unwrap();
    reader.expect("opened");
    proof!("A3", "4 of 4 meetings with a peer that waits in open; a watch of the FIFO (twin) saw 0 of 2");
}

#[test]
fn a3_nobody_comes_and_the_deadline_holds() {
    let directory = name::directory();
    let path = directory.path().join("fifo");
    let other = directory.path().join("other");
    Fifo::create(&path).unwrap();
    Fifo::create(&other).unwrap();
    let mut twin = peer!("peer-pipe", "opens_for_ever", other.display());
    twin.expect("opening");
    let (count, seed) = (repetitions(100, 1000), report::seed());
    let mut ours = peer!("peer-pipe", "opens_in_vain", path.display(), count, seed);
    let line = ours.hear();
    // The naive twin, open(2), waits still.
    twin.until_asleep_in(libc::SYS_openat);
    let (best, worst) = line.split_once(' ').unwrap();
    ours.finish();
    proof!(
        "A3",
        "{count} opens in vain gave up {best} to {worst} us after their deadline; twin (open) waits still; seed {seed}"
    );
}

#[test]
fn a3_no_reader_is_an_error_of_its_own() {
    let directory = name::directory();
    let fifo = Fifo::create(directory.path().join("fifo")).unwrap();
    assert!(matches!(fifo.try_writer(), Err(Error::NoReader { .. })));
    let (refused, took) = timed(|| fifo.writer_timeout(Duration::ZERO));
    assert!(matches!(refused, Err(Error::TimedOut { .. })) && took < WATCHDOG);
}

#[test]
fn a3_a_writer_killed_before_its_first_byte_is_end_of_file() {
    let directory = name::directory();
    let path = directory.path().join("fifo");
    let fifo = Fifo::create(&path).unwrap();
    let count = repetitions(50, 1000);
    for _ in 0..count {
        let mut writer = peer!("peer-pipe", "silent_writer", path.display());
        let reader = fifo.reader_timeout(WATCHDOG).unwrap();
        writer.expect("ready");
        writer.kill();
        assert_eq!(reader.read_timeout(&mut [0; 8], WATCHDOG).unwrap(), 0);
    }
    proof!("A3", "{count} writers killed between open and first byte: end of file each time");
}
