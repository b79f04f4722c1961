//! Values: none lost, none doubled, in order; and who claims to have sent them.

use ipc_signal::{Pid, Signal, queue, send};
use ipc_testkit::{Peer, peer, proof, repetitions};

use crate::numbers;

/// Four senders at once, through a queue of 1000: what was sent, came twice, came out of order, and refusals of the full queue.
fn fidelity(signal: i32, each: usize) -> (u64, u64, u64, u64) {
    let mut receiver = peer!("peer-signal", "receive-values", signal, 4, each);
    receiver.expect("ready");
    let mut senders: Vec<Peer> = (0..4)
        .map(|sender| peer!("peer-signal", "send-values", receiver.id(), signal, sender, each))
        .collect();
    let full = senders.iter_mut().map(|sender| numbers(&sender.hear())[0]).sum();
    send(Pid::try_from(receiver.id()).unwrap(), Signal::USR2).unwrap();
    let found = numbers(&receiver.hear());
    let [came, doubled, disordered] = found[..] else { panic!("{found:?}") };
    receiver.finish();
    senders.into_iter().for_each(Peer::finish);
    (came, doubled, disordered, full)
}

#[test]
fn e2_queued_values_all_arrive_in_order() {
    let each = repetitions(2_500, 25_000);
    let sent = u64::try_from(4 * each).unwrap();
    let (came, doubled, disordered, full) = fidelity(40, each);
    assert_eq!((came, doubled, disordered), (sent, 0, 0));
    // The twin: the same with a standard signal, of which one is pending at a time.
    let (naive, ..) = fidelity(libc::SIGUSR1, each);
    assert!(naive < sent, "a standard signal cannot have carried all values");
    let lost = 100 * (sent - naive) / sent;
    proof!(
        "E2",
        "{sent} values of 4 senders, 0 lost, 0 doubled, 0 out of order, queue full {full} times; twin, SIGUSR1: {lost} % lost"
    );
}

#[test]
fn e2_the_lowest_real_time_signal_comes_first() {
    let mut receiver = peer!("peer-signal", "receive-mixed");
    receiver.expect("ready");
    let pid = Pid::try_from(receiver.id()).unwrap();
    for (number, value) in [(44, 1), (41, 1), (44, 2), (40, 1), (41, 2), (40, 2)] {
        queue(pid, Signal::from_number(number).unwrap(), value).unwrap();
    }
    receiver.tell("go");
    receiver.expect("40:1 40:2 41:1 41:2 44:1 44:2");
    receiver.finish();
}

/// Anybody may claim to be process 1; the type says that it is a claim. What kill(2) fills in cannot be forged.
#[test]
fn e4_a_forged_sender_is_only_ever_a_claim() {
    const FORGERS: u64 = 20;
    let forged = |code: i32| {
        let mut receiver = peer!("peer-signal", "print-one", 40);
        receiver.expect("ready");
        let mut forger = peer!("peer-signal", "forge", receiver.id(), 40, code);
        let result = forger.hear();
        forger.finish();
        (result, receiver)
    };
    let (result, mut receiver) = forged(libc::SI_QUEUE);
    assert_eq!(result, "sent");
    receiver.expect("Queue Some(ClaimedSender { pid: Pid(1), uid: 0 }) Some(0)");
    receiver.finish();
    for code in [libc::SI_USER, libc::SI_TKILL, libc::SI_KERNEL] {
        let (result, _receiver) = forged(code);
        assert!(result.contains("os error 1"), "code {code}: {result}");
    }
    // The twin grants by the claim: it refuses who does not lie, and obeys who does.
    let mut twin = peer!("peer-signal", "obey-init", 40, 2 * FORGERS);
    twin.expect("ready");
    let pid = Pid::try_from(twin.id()).unwrap();
    for _ in 0..FORGERS {
        queue(pid, Signal::from_number(40).unwrap(), 0).unwrap();
        let mut forger = peer!("peer-signal", "forge", twin.id(), 40, libc::SI_QUEUE);
        forger.expect("sent");
        forger.finish();
    }
    let fooled = numbers(&twin.hear())[0];
    twin.finish();
    assert_eq!(fooled, FORGERS);
    proof!(
        "E4",
        "a queued signal's sender forged as process 1: shown as a claim; codes of kill, tgkill, kernel: EPERM; \
         twin that obeys process 1 alone: fooled by {fooled} of {FORGERS} forgers"
    );
}
