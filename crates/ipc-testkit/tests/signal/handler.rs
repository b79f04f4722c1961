//! Handlers: what may be done in one, what becomes of the disposition that was there, and across fork.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use ipc_signal::{Pid, Signal, queue, send};
use ipc_testkit::{command, name, peer, proof, repetitions, skip};

use crate::{is_installed, numbers};

/// Signals at 10 kHz into four threads that allocate, print and lock.
#[test]
fn e1_a_storm_stops_nobody_and_every_delivery_is_kept_or_counted() {
    let each = repetitions(5_000, 50_000);
    let mut peer = peer!("peer-signal", "storm", each);
    let found = numbers(&peer.hear());
    let [sent, delivered, longest] = found[..] else { panic!("{found:?}") };
    peer.finish();
    assert!(delivered > 0 && delivered <= sent);
    assert!(
        u128::from(longest) < ipc_testkit::WATCHDOG.as_millis(),
        "a thread made no turn for {longest} ms"
    );
    let mut naive = peer!("peer-signal", "storm-naive");
    let stalled_after = numbers(&naive.hear())[0];
    proof!(
        "E1",
        "{sent} signals, {delivered} delivered, longest turn {longest} ms; twin, a lock in the handler: stood still within {stalled_after} signals"
    );
}

#[test]
fn e1_errno_is_what_it_was() {
    let rounds = repetitions(100_000, 1_000_000);
    let mut peer = peer!("peer-signal", "errno", rounds);
    let found = numbers(&peer.hear());
    let [ours, naive] = found[..] else { panic!("{found:?}") };
    peer.finish();
    assert_eq!(ours, 0);
    if std::env::var_os("IPC_SANITIZER").is_some() {
        skip!("a sanitizer keeps errno for every handler, the naive twin's too");
    }
    assert_eq!(naive, u64::try_from(rounds).unwrap());
    proof!(
        "E1",
        "{rounds} deliveries whose write fails, errno changed {ours} times; twin, without care: {naive}"
    );
}

/// Between a delivery and its return stands the write that wakes the reader, and nothing else.
#[test]
fn e1_strace_sees_write_and_sigreturn_alone() {
    if !is_installed("strace") {
        skip!("no strace on this machine");
    }
    let (ours, naive) = (calls_in_handlers("ours"), calls_in_handlers("naive"));
    assert_eq!(ours.len(), 1000);
    assert!(ours.iter().all(|calls| *calls == ["write", "rt_sigreturn"]), "{:?}", ours[0]);
    let wrong = naive.iter().filter(|calls| calls.len() != 2 || calls[0] != "write").count();
    assert_eq!(wrong, 1000, "the twin's getpid is seen: {:?}", naive[0]);
    proof!(
        "E1",
        "1000 deliveries under strace: write and rt_sigreturn; twin, a handler that calls getpid: seen {wrong} times"
    );
}

/// The system calls of each delivery, by name.
fn calls_in_handlers(kind: &str) -> Vec<Vec<String>> {
    let directory = name::directory();
    let log = directory.path().join("strace");
    let role = command!("peer-signal", "deliver", 1000, kind);
    let status = Command::new("strace")
        .arg("-o")
        .arg(&log)
        .arg(role.get_program())
        .args(role.get_args())
        .status()
        .unwrap();
    assert!(status.success());
    let mut deliveries: Vec<Vec<String>> = Vec::new();
    let mut inside = false;
    for line in fs::read_to_string(&log).unwrap().lines() {
        if line.starts_with("--- SIGUSR1") {
            deliveries.push(Vec::new());
            inside = true;
        } else if inside {
            let call = line.split('(').next().unwrap().to_owned();
            inside = call != "rt_sigreturn";
            deliveries.last_mut().unwrap().push(call);
        }
    }
    deliveries
}

/// Two threads come and go while signals arrive; who stays misses none.
#[test]
fn e9_registering_under_a_storm_loses_nothing() {
    // The race that a sanitizer is here to see: it takes the full count.
    let sanitized = std::env::var_os("IPC_SANITIZER").is_some();
    let (rounds, count) = if sanitized {
        (50_000, 200_000)
    } else {
        (repetitions(5_000, 50_000), repetitions(20_000, 200_000))
    };
    let mut peer = peer!("peer-signal", "register", rounds, count);
    assert_eq!(peer.hear(), format!("{count} Ours Default"));
    peer.finish();
    proof!("E9", "{} registrations under {count} queued signals, all counted, default restored", 2 * rounds);
}

#[test]
fn e9_former_dispositions_come_back_and_are_called() {
    let mut peer = peer!("peer-signal", "chain");
    peer.expect("ok");
    assert_eq!(peer.wait().signal(), Some(libc::SIGTERM), "{}", peer.errors());
    let mut naive = peer!("peer-signal", "chain-naive");
    naive.expect("Foreign");
    naive.finish();
    proof!(
        "E9",
        "default, ignored and another's handler restored in any order, buried handlers included; twin, save and restore: a handler is left over"
    );
}

/// sigaction01 and 02 of LTP: flags and mask of what is in force, and who is woken how.
#[test]
fn e9_flags_and_masks_of_all_registrations_are_in_force() {
    let mut peer = peer!("peer-signal", "options");
    peer.expect("ok");
    peer.finish();
}

#[test]
fn e9_a_forked_child_leaves_the_parents_registrations_alone() {
    let mut peer = peer!("peer-signal", "fork");
    peer.expect("ok");
    peer.finish();
}

#[test]
fn a_forked_child_can_do_nothing_with_its_parents_handles_that_the_parent_notices() {
    let mut peer = peer!("peer-signal", "fork-handles");
    peer.expect("ok");
    peer.finish();
}

#[test]
fn e1_a_pipe_that_nobody_reads_is_no_death() {
    let mut peer = peer!("peer-signal", "wake-nobody");
    peer.expect("ok");
    peer.finish();
}

#[test]
fn shutdown_first_asks_then_insists() {
    let mut peer = peer!("peer-signal", "shutdown");
    let pid = Pid::try_from(peer.id()).unwrap();
    peer.expect("ready");
    send(pid, Signal::TERM).unwrap();
    peer.expect("asked Some(SIGTERM)");
    // It hangs now; another signal of the set ends it.
    peer.until_asleep_in(libc::SYS_read);
    send(pid, Signal::INT).unwrap();
    assert_eq!(peer.wait().signal(), Some(libc::SIGINT));
}

#[test]
fn shutdown_wakes_every_task_and_a_stream_polls() {
    let mut peer = peer!("peer-signal", "tasks");
    peer.expect("ready");
    peer.until_asleep_in(libc::SYS_epoll_wait);
    send(Pid::try_from(peer.id()).unwrap(), Signal::TERM).unwrap();
    peer.expect("asked Some(SIGTERM)");
    peer.finish();
}

#[test]
fn closures_run_on_a_thread_of_their_own() {
    let mut peer = peer!("peer-signal", "closure");
    peer.expect("ready");
    for value in 0..3 {
        queue(Pid::try_from(peer.id()).unwrap(), Signal::from_number(40).unwrap(), value).unwrap();
        let line = peer.hear();
        assert!(line.contains("Queue") && line.contains(&format!("Value({value})")), "{line}");
    }
    peer.tell("end");
    peer.expect("over");
    peer.finish();
}
