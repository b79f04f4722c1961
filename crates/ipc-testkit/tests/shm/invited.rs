//! Readers of sealed logs and cells that sleep: invited, and admitted by the writer.

use std::time::{Duration, Instant};

use ipc_shm::{Error, Refusal, Sealed, broadcast, latest};
use ipc_testkit::{proof, repetitions};

use crate::slow::Slow;
use crate::waiting::{Met, pollable};

fn start(kind: &str, wait: &str) -> Met {
    Met::start_with("invited-reader", &[kind, wait])
}

/// How each of three readers sleeps. The last one is killed half-way.
const SLEEPS: [(&str, libc::c_long); 3] =
    [("park", libc::SYS_futex), ("poll", libc::SYS_ppoll), ("park", libc::SYS_futex)];

/// Each of `rounds` writes wakes every reader, and so does the end.
fn writes_wake(rounds: u64, mut readers: Vec<Met>, mut write: impl FnMut(Option<u64>)) {
    let mut slow = Slow::with(readers.iter().map(|reader| &reader.peer));
    let asleep = |readers: &[Met]| {
        for (reader, (_, call)) in readers.iter().zip(SLEEPS) {
            reader.peer.until_asleep_in(call);
        }
    };
    for message in 0..rounds {
        asleep(&readers);
        if message == rounds / 2 {
            readers.pop();
        }
        let start = Instant::now();
        write(Some(message));
        for reader in &mut readers {
            reader.peer.expect(&message.to_string());
        }
        // A lost wake-up would be healed by the reader's look every 60 ms: count those.
        slow.note(start.elapsed());
    }
    slow.check();
    asleep(&readers);
    write(None);
    for mut reader in readers {
        reader.peer.expect(&format!("{rounds} the other end is gone"));
        reader.peer.finish();
    }
}

#[test]
fn f10_every_write_wakes_the_sealed_readers_that_were_admitted() {
    let rounds = repetitions(150, 5_000) as u64;
    let mut writer = broadcast::Writer::<u64, Sealed>::anonymous(pollable(16)).unwrap();
    let mut admitted = |wait: &str| {
        let mut reader = start("log", wait);
        writer.admit(reader.accepted(writer.invite().unwrap())).unwrap();
        reader.peer.expect("ready");
        reader
    };
    let readers = SLEEPS.map(|(wait, _)| admitted(wait)).into();
    let mut writer = Some(writer);
    writes_wake(rounds, readers, |message| match message {
        Some(message) => writer.as_mut().unwrap().write(&message).unwrap(),
        None => writer = None,
    });

    let mut writer = latest::Writer::<u64, Sealed>::anonymous_pollable().unwrap();
    let mut admitted = |wait: &str| {
        let mut reader = start("cell", wait);
        writer.admit(reader.accepted(writer.invite().unwrap())).unwrap();
        reader.peer.expect("ready");
        reader
    };
    let readers = SLEEPS.map(|(wait, _)| admitted(wait)).into();
    let mut writer = Some(writer);
    writes_wake(rounds, readers, |value| match value {
        Some(value) => writer.as_mut().unwrap().write(&value).unwrap(),
        None => writer = None,
    });

    // The naive twin polls for news in a ring that nobody rings: a reader made from the descriptor alone must not sleep.
    let writer = broadcast::Writer::<u64, Sealed>::anonymous(16).unwrap();
    let mut reader = broadcast::Reader::<u64, Sealed>::from_fd(writer.share().unwrap()).unwrap();
    assert!(matches!(reader.recv(), Err(Error::NotInvited)));
    proof!(
        "F10",
        "{rounds} writes each to sealed logs and cells woke every reader asleep, in futex and in poll"
    );
}

#[test]
fn f5_an_acceptance_of_something_else_is_refused() {
    let mut log = broadcast::Writer::<u64, Sealed>::anonymous(16).unwrap();
    let mut cell = latest::Writer::<u64, Sealed>::anonymous().unwrap();
    let (_reader, acceptance) = cell.invite().unwrap().accept().unwrap();
    assert!(matches!(log.admit(acceptance), Err(Error::Refused { .. })));
    let other = broadcast::Writer::<u64, Sealed>::anonymous(32).unwrap();
    let (_reader, acceptance) = other.invite().unwrap().accept().unwrap();
    assert!(matches!(log.admit(acceptance), Err(Error::Refused { reason: Refusal::Capacity, .. })));
    let polled = broadcast::Writer::<u64, Sealed>::anonymous(pollable(16)).unwrap();
    let (_reader, acceptance) = polled.invite().unwrap().accept().unwrap();
    assert!(matches!(log.admit(acceptance), Err(Error::Refused { reason: Refusal::Capacity, .. })));

    let (mut reader, acceptance) = cell.invite().unwrap().accept().unwrap();
    cell.admit(acceptance).unwrap();
    cell.write(&5).unwrap();
    assert_eq!(reader.wait().unwrap(), 5);
    assert!(matches!(reader.wait_timeout(Duration::from_millis(2)), Err(Error::TimedOut)));
    drop(cell);
    assert!(matches!(reader.wait(), Err(Error::Disconnected)));
}
