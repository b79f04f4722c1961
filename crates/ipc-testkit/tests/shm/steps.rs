//! Death at each instruction: of a start, an attachment, a send, a receive.

use std::sync::atomic::{AtomicU64, Ordering};

use ipc_shm::{Error, Payload, Shared, broadcast, bytes, latest, remove_stale, spsc};
use ipc_testkit::{WATCHDOG, calls, command, crash, name, proof, repetitions};

use crate::memory::Name;

/// Whether a new start under this name works, and what is left when it has ended.
fn starts_again(name: &str) -> ipc_shm::Result<()> {
    let (mut sender, _) = spsc::Sender::<u64>::open_or_replace(name, 16)?;
    let mut receiver = spsc::Receiver::<u64>::open(name)?;
    sender.send(&7)?;
    assert_eq!(receiver.recv()?, 7);
    Ok(())
}

fn start(role: &'static str, dead_before: bool) -> impl FnMut() -> (std::process::Command, Name) {
    move || {
        let named = Name::new(role);
        if dead_before {
            spsc::Sender::<u64>::create(&named.0, 16).unwrap().persist();
        }
        (command!("peer-shm", role, named.0), named)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what a death leaves is handed over")]
fn check(death: crash::Death, named: Name) {
    if let Err(error) = starts_again(&named.0) {
        panic!("{death}: {error}");
    }
    remove_stale(&named.0).unwrap();
    assert!(name::in_dev_shm(&named.0).is_empty(), "{death}");
    assert!(name::in_dev_shm(&format!(".ipc-shm-{}-", death.peer.id())).is_empty(), "{death}");
}

#[test]
fn f13_a_start_killed_at_any_instruction_is_followed_by_one_that_works() {
    let created = crash::at_every_step(repetitions(5, usize::MAX), start("step-create", false), check);
    let mut stuck = 0;
    let naive =
        crash::at_every_step(repetitions(10, 600), start("step-create-naively", false), |_, named| {
            let half_made = std::fs::read(format!("/dev/shm/{}", named.0))
                .is_ok_and(|bytes| !bytes.starts_with(b"ready"));
            stuck += u32::from(half_made);
        });
    assert!(stuck > 0, "the harness kills nobody half-way");
    proof!(
        "F13",
        "killed at {created} instructions of create, the next start worked; naive twin half-made {stuck} of {naive}"
    );
}

#[test]
fn f13_a_replacement_killed_at_any_instruction_is_followed_by_one_that_works() {
    let replaced = crash::at_every_step(repetitions(4, 2000), start("step-replace", true), check);
    proof!("F13", "killed at {replaced} instructions of open_or_replace, the next one worked");
}

#[test]
fn f13_an_attachment_killed_at_any_instruction_leaves_the_end_free() {
    let points = crash::at_every_step(
        repetitions(6, usize::MAX),
        || {
            let named = Name::new("step-attach");
            let mut sender = spsc::Sender::<u64>::create(&named.0, 16).unwrap();
            sender.send(&7).unwrap();
            (command!("peer-shm", "step-attach", named.0), (named, sender))
        },
        |death, (named, mut sender)| {
            let mut receiver =
                spsc::Receiver::<u64>::open(&named.0).unwrap_or_else(|error| panic!("{death}: {error}"));
            sender.send(&8).unwrap();
            assert_eq!((receiver.recv().unwrap(), receiver.recv().unwrap()), (7, 8), "{death}");
        },
    );
    proof!("F13", "killed at {points} instructions of an attachment, the next one worked");
}

#[test]
fn f9_a_send_killed_at_any_instruction_is_whole_or_nothing() {
    fn check<const N: usize>(role: &'static str)
    where
        [u64; N]: Payload,
    {
        let mut seen = [0; 3];
        let points = crash::at_every_step(
            repetitions(6, 2000),
            || {
                let named = Name::new("step-send");
                let receiver = spsc::Receiver::<[u64; N]>::create(&named.0, 16).unwrap();
                (command!("peer-shm", role, named.0), (named, receiver))
            },
            |death, (named, mut receiver)| {
                let mut successor = spsc::Sender::<[u64; N]>::open(&named.0)
                    .unwrap_or_else(|error| panic!("{death}: {error}"));
                successor.send(&[99; N]).unwrap();
                drop(successor);
                let mut got = Vec::new();
                loop {
                    match receiver.recv() {
                        Ok(message) => {
                            assert!(
                                message.iter().all(|word| *word == message[0]),
                                "{death}: torn {message:?}"
                            );
                            got.push(message[0]);
                        }
                        Err(Error::Disconnected) => break,
                        Err(error) => panic!("{death}: {error}"),
                    }
                }
                match got.as_slice() {
                    [99] => seen[0] += 1,
                    [0, 99] => seen[1] += 1,
                    [0, 1, 2, 99] => seen[2] += 1,
                    other => panic!("{death}: {other:?}"),
                }
                seen[1] > 0 && seen[2] > 0
            },
        );
        assert!(seen[1] > 0 && seen[2] > 0, "{seen:?}");
        proof!(
            "F9",
            "{} bytes: killed at {points} instructions of a send and a batch; nothing, one, all three: {seen:?}",
            N * 8
        );
    }
    check::<1>("step-send");
    check::<8>("step-send-packed");
}

#[test]
fn f9_a_receive_killed_at_any_instruction_loses_nothing() {
    let mut again = [0; 3];
    let points = crash::at_every_step(
        repetitions(6, 2000),
        || {
            let named = Name::new("step-receive");
            let mut sender = spsc::Sender::<u64>::create(&named.0, 16).unwrap();
            for message in 0..10 {
                sender.send(&message).unwrap();
            }
            (command!("peer-shm", "step-receive", named.0), (named, sender))
        },
        |death, (named, sender)| {
            let mut receiver =
                spsc::Receiver::<u64>::open(&named.0).unwrap_or_else(|error| panic!("{death}: {error}"));
            drop(sender);
            let first = receiver.recv().unwrap();
            assert!(first <= 2, "{death}: lost up to {first}");
            for message in first + 1..10 {
                assert_eq!(receiver.recv().unwrap(), message, "{death}");
            }
            assert!(matches!(receiver.recv(), Err(Error::Disconnected)), "{death}");
            again[usize::try_from(first).unwrap()] += 1;
        },
    );
    proof!(
        "F9",
        "killed at {points} instructions of two receives; the successor began with message 0, 1, 2: {again:?}"
    );
}

/// How long an end that is alone waits before the kernel is asked whether the other lives.

#[test]
fn f9_bytes_of_a_sender_killed_at_any_instruction_are_whole_or_nothing() {
    let mut seen = [0; 4];
    let points = crash::at_every_step(
        repetitions(6, 2000),
        || {
            let named = Name::new("step-bytes");
            let receiver = bytes::Receiver::create(&named.0, 1024).unwrap();
            (command!("peer-shm", "step-send-bytes", named.0), (named, receiver))
        },
        |death, (named, mut receiver)| {
            let mut successor = bytes::Sender::open(&named.0).unwrap();
            successor.send(&[9; 60]).unwrap();
            drop(successor);
            let (mut got, mut buffer) = (Vec::new(), Vec::new());
            while receiver.recv_timeout(&mut buffer, WATCHDOG).is_ok() {
                got.push((buffer[0], buffer.len()));
                assert!(buffer.iter().all(|byte| *byte == buffer[0]), "{death}: torn");
            }
            let all = [(1, 100), (2, 10), (3, 200)];
            assert_eq!(got.pop(), Some((9, 60)), "{death}");
            // The batch is there as a whole or not at all.
            assert!(got.len() != 2 && all.starts_with(&got), "{death}: {got:?}");
            seen[got.len()] += 1;
            seen[1] > 0
        },
    );
    assert!(seen[1] > 0);
    proof!(
        "F9",
        "bytes: killed at {points} instructions of a send and a batch; nothing, one, all three: {seen:?}"
    );
}

#[test]
fn f11_a_writer_killed_at_any_instruction_leaves_the_last_whole_value() {
    let mut seen = [0; 3];
    let points = crash::at_every_step(
        repetitions(6, 2000),
        || {
            let named = Name::new("step-latest");
            latest::Writer::<[u64; 4]>::create(&named.0).unwrap().persist();
            let reader = latest::Reader::<[u64; 4]>::open(&named.0).unwrap();
            (command!("peer-shm", "step-latest", named.0), (named, reader))
        },
        |death, (named, mut reader)| {
            let value = reader.read().unwrap().unwrap_or_default();
            assert!(value == [value[0]; 4] && value[0] <= 2, "{death}: {value:?}");
            seen[usize::try_from(value[0]).unwrap()] += 1;
            latest::Writer::<[u64; 4]>::open(&named.0).unwrap().write(&[9; 4]).unwrap();
            assert_eq!(reader.read().unwrap(), Some([9; 4]), "{death}");
            seen[1] > 0
        },
    );
    assert!(seen[1] > 0);
    proof!(
        "F11",
        "latest: writer killed at {points} instructions of two writes; none, first, second: {seen:?}, 0 torn"
    );
}

#[test]
fn f11_a_broadcaster_killed_at_any_instruction_is_told_and_followed() {
    let (mut died, mut seen) = (0, [0; 3]);
    let points = crash::at_every_step(
        repetitions(6, 600),
        || {
            let named = Name::new("step-broadcast");
            broadcast::Writer::<[u64; 4]>::create(&named.0, 16).unwrap().persist();
            let reader = broadcast::Reader::<[u64; 4]>::open(&named.0).unwrap();
            (command!("peer-shm", "step-broadcast", named.0), (named, reader))
        },
        |death, (named, mut reader)| {
            let mut came = 0;
            loop {
                match reader.recv_timeout(WATCHDOG) {
                    Ok(message) => {
                        came += 1;
                        assert_eq!(message, [came; 4], "{death}");
                    }
                    Err(Error::WriterDied) => {
                        died += 1;
                        break;
                    }
                    Err(Error::Disconnected) => break,
                    Err(error) => panic!("{death}: {error}"),
                }
            }
            seen[usize::try_from(came).unwrap()] += 1;
            let mut successor = broadcast::Writer::<[u64; 4]>::open(&named.0).unwrap();
            successor.write(&[9; 4]).unwrap();
            assert_eq!(reader.recv_timeout(WATCHDOG).unwrap(), [9; 4], "{death}");
            seen[1] > 0 && died > 0
        },
    );
    assert!(seen[1] > 0 && died > 0);
    proof!(
        "F11",
        "broadcast: writer killed at {points} instructions of two writes; none, one, both came: {seen:?}, {died} told in the middle of a message"
    );
}

#[test]
fn f9_whoever_is_killed_while_it_waits_holds_nobody_up() {
    let receivers = crash::at_every_step(
        repetitions(6, 2000),
        || {
            let named = Name::new("step-wait");
            let sender = spsc::Sender::<u64>::create(&named.0, 16).unwrap();
            (command!("peer-shm", "step-wait-message", named.0), (named, sender))
        },
        |death, (named, mut sender)| {
            let mut successor = spsc::Receiver::<u64>::open(&named.0).unwrap();
            for message in 0..40 {
                sender.send_timeout(&message, WATCHDOG).unwrap_or_else(|error| panic!("{death}: {error}"));
                assert_eq!(successor.recv_timeout(WATCHDOG).unwrap(), message, "{death}");
            }
        },
    );
    let senders = crash::at_every_step(
        repetitions(6, 2000),
        || {
            let named = Name::new("step-wait");
            let receiver = spsc::Receiver::<u64>::create(&named.0, 16).unwrap();
            let mut sender = spsc::Sender::<u64>::open(&named.0).unwrap();
            for message in 0..16 {
                sender.send(&message).unwrap();
            }
            (command!("peer-shm", "step-wait-room", named.0), (named, receiver))
        },
        |death, (named, mut receiver)| {
            let mut successor = spsc::Sender::<u64>::open(&named.0).unwrap();
            for message in 0..40 {
                assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap(), message, "{death}");
                successor
                    .send_timeout(&(message + 16), WATCHDOG)
                    .unwrap_or_else(|error| panic!("{death}: {error}"));
            }
        },
    );
    proof!(
        "F9",
        "killed at {receivers} instructions of a wait for a message and {senders} of one for room: both go on"
    );
}

#[test]
fn f9_the_naive_queue_with_one_tail_is_stuck_by_a_death() {
    let mut stuck = 0;
    let points = crash::at_every_step(
        repetitions(20, 2000),
        || {
            let named = Name::new("step-claim");
            let shared = Shared::<[AtomicU64; 8]>::create(&named.0, |_| Ok(())).unwrap();
            (command!("peer-shm", "step-claim-naively", named.0), (named, shared))
        },
        |_, (_named, shared)| {
            let queue = shared.get().unwrap();
            // Another sender, which lives.
            let place = queue[0].fetch_add(1, Ordering::Relaxed);
            queue[usize::try_from(place).unwrap() + 1].store(8, Ordering::Release);
            // The receiver's next message never comes, and one is behind it.
            stuck += usize::from(queue[1].load(Ordering::Acquire) == 0);
            stuck > 0
        },
    );
    assert!(stuck > 0);
    proof!(
        "F9",
        "naive twin of the lanes, a tail for all senders: stuck for ever after {stuck} of {points} deaths"
    );
}

#[test]
fn making_and_attaching_a_channel_cost_at_most_thirty_system_calls() {
    let named = Name::new("counted-start");
    let made = calls::between_marks(&mut command!("peer-shm", "step-create", named.0));
    let _sender = spsc::Sender::<u64>::create(&named.0, 16).unwrap();
    let attached = calls::between_marks(&mut command!("peer-shm", "step-attach", named.0));
    assert!(made.len() + attached.len() <= 30, "{made:?} {attached:?}");
    // No thread either.
    for thread in [libc::SYS_clone, libc::SYS_clone3] {
        assert!(!made.contains(&thread) && !attached.contains(&thread));
    }
    proof!("cost", "a channel is made in {} system calls and attached in {}", made.len(), attached.len());
}
