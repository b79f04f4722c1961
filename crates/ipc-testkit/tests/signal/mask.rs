//! Masks.

use ipc_testkit::{peer, proof, repetitions, report::seed};

use crate::numbers;

#[test]
fn e7_masks_come_back_through_nesting_unwinding_and_threads() {
    let (rounds, seed) = (repetitions(2_000, 10_000), seed());
    let mut peer = peer!("peer-signal", "mask", rounds, seed);
    let found = numbers(&peer.hear());
    let [changed, naive] = found[..] else { panic!("{found:?}") };
    peer.finish();
    assert_eq!(changed, 0, "seed {seed}");
    assert!(naive > 0, "block and unblock must fail where the middle is left early");
    proof!("E7", "{rounds} nests, 0 masks changed; twin, block and unblock: {naive} changed; seed {seed}");
}

/// A child keeps the mask and what is ignored, and catches nothing, unless it is told otherwise.
#[test]
fn e7_what_a_child_starts_with() {
    let bit = |number: u64| 1_u64 << (number - 1);
    let mut peer = peer!("peer-signal", "show-status");
    // glibc ignores its own two, 32 and 33, in what posix_spawn starts; fork and exec does not.
    let usable = !(bit(32) | bit(33));
    let mut status = || -> Vec<u64> {
        peer.hear().split(' ').map(|word| u64::from_str_radix(word, 16).unwrap() & usable).collect()
    };
    let (hup, int, quit, pipe) = (bit(1), bit(2), bit(3), bit(13));
    // What this machine's shells ignore already; std ignores SIGPIPE for itself only.
    let found = status()[0] & !pipe & !hup;
    let blocked = bit(10) | bit(40);
    assert_eq!(
        status(),
        [blocked, found | hup, 0],
        "std leaves mask and ignored signals; caught becomes default"
    );
    assert_eq!(status(), [0, found | hup, 0], "signal_mask(empty)");
    assert_eq!(status(), [int, found | hup, 0], "signal_mask(INT)");
    assert_eq!(status(), [blocked, found, 0], "default_signals");
    assert_eq!(status(), [blocked, found | hup | int | quit, 0], "ignore_signals");
    peer.finish();
}
