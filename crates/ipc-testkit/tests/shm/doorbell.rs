//! What a sleep, a wake and a look at the other side cost: counted by the kernel's own number of calls and by the
//! channel's counters, never by a clock.

use std::fmt::Debug;
use std::time::Instant;

use ipc_shm::{Error, Payload, Wait, spsc};
use ipc_testkit::{WATCHDOG, calls, command, peer, proof, until};

use crate::memory::Name;

fn count(calls: &[i64], number: i64) -> usize {
    calls.iter().filter(|call| **call == number).count()
}

#[test]
fn f10_a_sleep_out_of_the_hot_gear_costs_one_barrier_and_one_out_of_the_cold_none() {
    let named = Name::new("hot");
    let mut sender = spsc::Sender::<u64>::create(&named.0, 1024).unwrap();
    // 256 without a sleep make it hot.
    for (messages, barriers) in [(600, 1), (100, 0)] {
        sender.send_batch(&vec![7; messages]).unwrap();
        let made = calls::between_marks(&mut command!("peer-shm", "hot-sleeper", named.0, messages));
        assert_eq!(count(&made, libc::SYS_membarrier), barriers, "{messages} messages: {made:?}");
        assert!(count(&made, libc::SYS_futex) >= 2, "{made:?}");
    }
    proof!("F10", "HOT: the barrier is made once when a receiver leaves the hot gear, and not again");
}

#[test]
fn a_peer_is_asked_for_while_one_waits_and_at_most_17_times_a_second() {
    let mut asked = Vec::new();
    for wait in ["park", "default", "spin"] {
        let named = Name::new("asked");
        let _sender = spsc::Sender::<u64>::create(&named.0, 16).unwrap();
        let start = Instant::now();
        let made = calls::between_marks(&mut command!("peer-shm", "counted-waiter", named.0, wait, 400));
        let questions = count(&made, libc::SYS_fcntl);
        let most = start.elapsed().as_millis() / 60 + 1;
        assert!(questions >= 2 && questions as u128 <= most, "{wait}: {questions} questions, {made:?}");
        asked.push(questions);
    }
    proof!("F9", "in 400 ms a live peer is asked for {asked:?} times: asleep, by default, spinning");
}

#[test]
fn one_sleep_costs_one_wake_however_much_is_sent_before_the_sleeper_runs() {
    use nix::sys::signal::{Signal, kill};
    let named = Name::new("woken");
    let mut sender = spsc::Sender::<u64>::create(&named.0, 64).unwrap();
    let mut peer = peer!("peer-shm", "spsc-receiver", named.0, "park", 40);
    peer.expect("ready");
    peer.until_asleep_in(libc::SYS_futex);
    let id = nix::unistd::Pid::from_raw(i32::try_from(peer.id()).unwrap());
    kill(id, Signal::SIGSTOP).unwrap();
    let status = format!("/proc/{}/stat", peer.id());
    until("the stop", || std::fs::read_to_string(&status).unwrap().contains(") T "));
    // It may have been between two sleeps; then the first message does not wake it, and nobody else has to.
    let before = sender.stat().unwrap().sender.woken;
    for message in 0..40 {
        sender.send(&message).unwrap();
    }
    let woken = sender.stat().unwrap().sender.woken - before;
    assert!(woken <= 1, "{woken} wakes for one sleep");
    kill(id, Signal::SIGCONT).unwrap();
    peer.expect("40 enough");
    peer.tell("bye");
    peer.finish();
    proof!("F10", "40 messages to a sleeper that is stopped: {woken} wake");
}

#[test]
fn a_hot_receiver_gives_back_a_quarter_of_the_ring_and_not_less() {
    fn check<T: Payload + Copy + Debug>(message: T) {
        let (sender, receiver) = spsc::channel::<T>(64).unwrap();
        let (mut sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
        for _ in 0..1000 {
            sender.try_send(&message).unwrap();
            receiver.recv().unwrap();
        }
        receiver.release().unwrap();
        for _ in 0..64 {
            sender.try_send(&message).unwrap();
        }
        for _ in 0..15 {
            receiver.recv().unwrap();
            assert!(matches!(sender.try_send(&message), Err(Error::Full)), "it is not hot");
        }
        receiver.recv().unwrap();
        for _ in 0..16 {
            sender.try_send(&message).unwrap();
        }
        assert!(matches!(sender.try_send(&message), Err(Error::Full)));
    }
    check(7_u64);
    check([7_u64; 7]);
    check([7_u64; 8]);
    proof!(
        "F10",
        "a quarter of the ring that was read is given back at once, less is kept while nobody sleeps"
    );
}

#[test]
fn a_killed_sender_is_told_by_the_kernel_alone() {
    for wait in [Wait::Park, Wait::SpinThenPark, Wait::Spin] {
        let named = Name::new("told");
        let mut receiver = spsc::Receiver::<u64>::create(&named.0, 16).unwrap();
        receiver.set_wait(wait);
        let mut peer = peer!("peer-shm", "spsc-sender", named.0, 0, 1, "park", "hold");
        peer.expect("ready");
        peer.expect("sent");
        assert_eq!(receiver.recv().unwrap(), 0);
        peer.kill();
        // Nothing is sent and nobody wakes: a receiver that does not ask waits to the end.
        let told = receiver.recv_timeout(WATCHDOG);
        assert!(matches!(told, Err(Error::Disconnected)), "{wait:?}: {told:?}");
    }
}
