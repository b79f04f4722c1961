//! Rows B6, C5, D4 in a namespace of their own, B7 with ids given again, and B8 as another user.

use ipc_sysv::{MessageQueue, RemoveOnDrop, Segment, SemaphoreSet};
use ipc_testkit::{Peer, command, proof, repetitions, skip};

/// What the role says: "ok", or "skip" where there is no namespace to be had.
fn says_ok(role: &str, arguments: &[i32]) -> bool {
    let mut command = command!("peer-sysv", role);
    let mut peer = Peer::start(command.args(arguments.iter().map(ToString::to_string)));
    peer.patience(60);
    let said = peer.next_line();
    assert!(peer.wait().success(), "{}", peer.errors());
    said.as_deref() == Some("ok")
}

#[test]
fn b6_limits_of_semaphores() {
    if !says_ok("limits-of-semaphores", &[]) {
        skip!("no IPC namespace of our own");
    }
    proof!("B6", "SEMMSL, SEMMNS, SEMOPM and SEMMNI are typed errors");
}

#[test]
fn b7_an_id_given_again_is_noticed() {
    let rounds = repetitions(200, 2000);
    if !says_ok("replace-by-id", &[i32::try_from(rounds).unwrap()]) {
        skip!("no IPC namespace of our own, or no sem_next_id");
    }
    proof!(
        "B7",
        "{rounds} times an id was given again, each time noticed and left alone, unless key and creator were the same"
    );
}

#[test]
fn c5_limits_of_queues() {
    if !says_ok("limits-of-queues", &[]) {
        skip!("no IPC namespace of our own");
    }
    proof!("C5", "MSGMNI, MSGMAX and MSGMNB are typed errors");
}

#[test]
fn d4_limits_of_segments() {
    if !says_ok("limits-of-segments", &[]) {
        skip!("no IPC namespace of our own");
    }
    proof!("D4", "SHMMAX, SHMMIN, SHMMNI and SHMALL are typed errors");
}

#[test]
fn b8_another_user_is_refused() {
    if ipc_sys::sysv::effective_uid() != 0 {
        skip!("only root can become another user");
    }
    let set = RemoveOnDrop::new(SemaphoreSet::create(crate::key(), &[1]).unwrap());
    let queue = RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap());
    let segment = RemoveOnDrop::new(Segment::create(crate::key(), 100).unwrap());
    let forsaken = crate::key().number();
    let forsaken_id =
        ipc_sys::sysv::semaphore::get(forsaken, 1, libc::IPC_CREAT | libc::IPC_EXCL | 0o644).unwrap();
    let forsaken_set = RemoveOnDrop::new(SemaphoreSet::from_id(forsaken_id).unwrap());
    assert!(says_ok("as-nobody", &[set.id(), queue.id(), segment.id(), forsaken]));
    assert_eq!(forsaken_set.values().unwrap(), [0], "left as it was");
    assert_eq!(set.values().unwrap(), [1]);
    proof!("B8", "nobody is refused everything on root's objects of mode 0600, and sees them listed");
}

/// A sandbox that refuses the calls leaves /proc, and the listing says the same.
#[test]
fn d5_a_listing_falls_back_to_proc() {
    assert!(says_ok("refused-listing", &[]));
    proof!(
        "D5",
        "semctl, msgctl and shmctl refused by seccomp: /proc/sysvipc lists the same; refused as well: an error"
    );
}

#[test]
fn sysvipc_namespaces_do_not_meet() {
    let key = crate::key();
    let queue = RemoveOnDrop::new(MessageQueue::create(key).unwrap());
    if !says_ok("in-another-namespace", &[key.number(), queue.id()]) {
        skip!("no IPC namespace of our own");
    }
    queue.verify().unwrap();
    assert_eq!(queue.stat().unwrap().messages, 0);
}
