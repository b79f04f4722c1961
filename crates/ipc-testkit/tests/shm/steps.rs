//! Death at each instruction: of a start, an attachment, a send, a receive.

use ipc_shm::{Error, Payload, remove_stale, spsc};
use ipc_testkit::{command, crash, name, proof, repetitions};

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
    let created = crash::at_every_step(repetitions(5, 600), start("step-create", false), check);
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
    let replaced = crash::at_every_step(repetitions(4, 600), start("step-replace", true), check);
    proof!("F13", "killed at {replaced} instructions of open_or_replace, the next one worked");
}

#[test]
fn f13_an_attachment_killed_at_any_instruction_leaves_the_end_free() {
    let points = crash::at_every_step(
        repetitions(6, 600),
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
            repetitions(6, usize::MAX),
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
        repetitions(6, usize::MAX),
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
