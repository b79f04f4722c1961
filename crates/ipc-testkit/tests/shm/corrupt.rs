//! Every byte of a channel's header and of the words behind it, changed under and before both ends.

use ipc_testkit::{command, proof};

use crate::flip::KINDS;
use crate::memory::Name;

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
