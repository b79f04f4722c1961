//! Every byte of a channel's header and of the words behind it, changed under and before both ends; and a process that
//! scribbles over them at random.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use ipc_shm::Error;
use ipc_testkit::{WATCHDOG, command, peer, proof, repetitions, report};

use crate::flip::KINDS;
use crate::memory::Name;

/// F1: attaches the ends of this memory again and again while another process scribbles over it, and makes a hundred turns
/// of calls with them each time. Each ends, well or as one of the errors that are for others' nonsense.
pub(crate) fn scribbled<E, const CALLS: usize>(
    kind: &str,
    named: &Name,
    attach: impl Fn() -> ipc_shm::Result<E>,
    calls: impl Fn(&mut E, u64) -> [Option<Error>; CALLS],
) {
    let seed = report::seed();
    let (mut ended, mut refused, mut corrupt) = (0_u64, 0_u64, 0_u64);
    let millis = repetitions(1000, 10_000);
    let path = format!("/dev/shm/{}", named.0);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    let begin = Instant::now();
    // Until both have been seen: a loaded machine may have had us scribble, or call, in vain.
    let written = loop {
        let mut peer = peer!("peer-shm", "spsc-scribbler", named.0, millis, seed);
        peer.expect("ready");
        let end = Instant::now() + Duration::from_millis(millis as u64 - 200);
        while Instant::now() < end {
            // All is put right again, or nobody would ever attach.
            file.write_all_at(&good, 0).unwrap();
            let Ok(mut ends) = attach() else {
                refused += 1;
                continue;
            };
            for turn in 0..100 {
                let start = Instant::now();
                let results = calls(&mut ends, turn);
                assert!(start.elapsed() < WATCHDOG, "an operation hung");
                for result in results {
                    match result {
                        Some(Error::PeerCorrupt { .. }) => corrupt += 1,
                        Some(Error::Refused { .. } | Error::System { .. }) => panic!("{result:?}"),
                        _ => ended += 1,
                    }
                }
            }
        }
        let written = peer.hear();
        peer.finish();
        if (ended > 0 && corrupt > 0) || begin.elapsed() > WATCHDOG {
            break written;
        }
    };
    assert!(ended > 0 && corrupt > 0, "{ended} {corrupt} {refused}");
    proof!(
        "F1",
        "{kind}: {written} words scribbled; {ended} calls ended well, {corrupt} PeerCorrupt, {refused} attaches refused, 0 panics; seed {seed}"
    );
}

#[test]
fn f2_no_byte_of_a_channel_does_harm() {
    for kind in KINDS {
        let named = Name::new("spoil");
        let mut peer = ipc_testkit::Peer::start(&mut command!("peer-shm", "spoil", kind, named.0));
        // It says a line for each byte; one that hangs is found by the watchdog.
        let (mut cases, mut refused, mut corrupt) = (0_u32, 0_u32, 0_u32);
        while let Some(line) = peer.next_line() {
            let numbers: Vec<u32> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            cases += numbers[0];
            refused += numbers[1];
            corrupt += numbers[2];
        }
        peer.finish();
        assert!(cases > 1000 && refused > 200, "{kind}: {cases} {refused}");
        // latest and broadcast have no word of a peer's that could contradict itself.
        assert!(corrupt > 0 || kind == "latest" || kind == "broadcast", "{kind}");
        proof!(
            "F2",
            "{kind}: {cases} bytes of header and positions, before and after attaching: {refused} refused, {corrupt} PeerCorrupt and so for good, the rest harmless"
        );
    }

    let (mut died, mut survived) = (0, 0);
    for value in [0_u64, 1, 0x7f, 0x80, 0xff, u64::MAX] {
        let mut peer = ipc_testkit::Peer::start(&mut command!("peer-shm", "naive-ring", value));
        if peer.wait().success() { survived += 1 } else { died += 1 }
    }
    assert!(died > 0 && survived > 0);
    proof!("F1", "naive twin, which indexes by the peer's position: died of {died} values of 6");
}
