//! What changes between a look and the use of what was seen: at each instruction, and as fast as another process can.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use ipc_shm::{Error, Sealed, SharedMemory, bytes, spsc};
use ipc_testkit::{command, crash, peer, proof, repetitions, repetitions_or_long};
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};

use crate::ends::{Ends, Large};
use crate::memory::Name;

/// The kinds that `Ends` makes.
pub(crate) const KINDS: [&str; 7] = ["slots", "packed", "bytes", "latest", "broadcast", "lanes", "lossless"];

/// The words of the header, and of those behind it that the protocols use, by their offsets in bytes.
pub(crate) fn words() -> Vec<u64> {
    // The last three: which readers there are, and the first one's cursor, where there are any.
    let words = (0..13).chain([128, 144, 160, 176, 256, 272, 288, 304, 320, 352, 512, 513]);
    words.map(|word| word * 8).collect()
}

fn end_of(death: &mut crash::Death) -> Result<String, String> {
    let said = death.peer.next_line();
    let status = death.peer.wait();
    match said {
        Some(said) if status.success() => Ok(said),
        _ => Err(format!("{death}: {status} {}", death.peer.errors())),
    }
}

#[test]
fn f3_a_word_that_changes_at_any_instruction_of_attach_or_use_wins_nothing() {
    let mut random = fastrand::Rng::with_seed(7);
    for kind in KINDS {
        let mut said = std::collections::BTreeMap::<String, usize>::new();
        let mut points = [0; 2];
        for (role, points) in ["victim-attach", "victim-use"].into_iter().zip(&mut points) {
            if is_spared(role, kind) {
                continue;
            }
            *points = crash::meddled_at_every_step(
                repetitions_or_long(4, 200, 400),
                || {
                    let named = Name::new("flip");
                    Ends::create(kind, &named.0).unwrap();
                    (command!("peer-shm", role, kind, named.0), named)
                },
                |named| {
                    let file = OpenOptions::new().read(true).write(true).open(path(named)).unwrap();
                    for _ in 0..random.usize(1..4) {
                        let word = words()[random.usize(..words().len())];
                        let mut now = [0; 8];
                        file.read_exact_at(&mut now, word).unwrap();
                        let value = match random.u8(..4) {
                            0 => random.u64(..),
                            1 => u64::from_ne_bytes(now).wrapping_mul(1 << 20),
                            2 => u64::from_ne_bytes(now).wrapping_add(1),
                            _ => u64::MAX,
                        };
                        file.write_all_at(&value.to_ne_bytes(), word).unwrap();
                    }
                },
                |mut death, _named| {
                    for word in end_of(&mut death).unwrap().split(' ') {
                        *said.entry(word.to_owned()).or_default() += 1;
                    }
                },
            );
        }
        proof!(
            "F3",
            "{kind}: words changed at {} instructions of attach and {} of use: {said:?}, 0 crashes, 0 hung",
            points[0],
            points[1]
        );
    }
}

/// All attach by the same code; in the quick tier two of them do.
pub(crate) fn is_spared(role: &str, kind: &str) -> bool {
    repetitions(0, 1) == 0 && role == "victim-attach" && !["packed", "broadcast"].contains(&kind)
}

fn path(named: &Name) -> String {
    format!("/dev/shm/{}", named.0)
}

/// A descriptor for reading of a memory file that looks like the sender's half of a sealed pair and is not sealed yet, and
/// the one for writing.
fn unsealed() -> (OwnedFd, File) {
    let (offer, invitation) = spsc::Sender::<Large, Sealed>::offer(64).unwrap();
    let good: Vec<OwnedFd> = invitation.into();
    let good = File::from(good.into_iter().next().unwrap());
    let mut bytes = vec![0; usize::try_from(good.metadata().unwrap().len()).unwrap()];
    good.read_exact_at(&mut bytes, 0).unwrap();
    drop(offer);
    let file = File::from(ipc_sys::memory::memory_file(c"unsealed").unwrap());
    file.write_all_at(&bytes, 0).unwrap();
    let reading = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    (reading.into(), file)
}

#[test]
fn f3_a_file_cut_short_and_then_sealed_between_two_looks_kills_nobody() {
    let seals = SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_FUTURE_WRITE
        | SealFlag::F_SEAL_SEAL;
    let storm = |role: &'static str, cut: bool| {
        let (mut refused, mut attached, mut killed) = (0, 0, Vec::new());
        let points = crash::meddled_at_every_step(
            repetitions(60, 400),
            || {
                let (reading, file) = unsealed();
                let path = format!("/proc/{}/fd/{}", std::process::id(), reading.as_raw_fd());
                (command!("peer-shm", role, path), (file, reading))
            },
            |(file, _)| {
                if cut {
                    file.set_len(4096).unwrap();
                } else {
                    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                    fallocate(&*file, hole, 4096, 4096).unwrap();
                }
                fcntl(&*file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
            },
            |mut death, _| match end_of(&mut death) {
                Ok(said) if said == "refused" => refused += 1,
                Ok(_) => attached += 1,
                Err(account) => killed.push(account),
            },
        );
        (points, refused, attached, killed)
    };
    let (cut, refused, attached, killed) = storm("victim-accept", true);
    assert!(killed.is_empty(), "{killed:?}");
    assert_eq!((refused, attached), (cut, 0));
    // Pages may be taken away before the seals are seen, not after.
    let (punched, refused, attached, killed) = storm("victim-accept", false);
    assert!(killed.is_empty(), "{killed:?}");
    assert_eq!((refused, attached), (punched, 0));
    let (naive, _, _, killed) = storm("victim-naive-accept", true);
    assert!(!killed.is_empty(), "the harness never comes between two looks");
    proof!(
        "F3",
        "cut and sealed at {cut} instructions of accept, punched and sealed at {punched}: refused each time; naive twin killed {} times of {naive}",
        killed.len()
    );
}

/// Word offsets of the protocols, as `area.rs` has them.
const WRITTEN: u64 = 176;
const READ: u64 = 304;
const FIRST: u64 = 512;

#[test]
fn f3_a_position_that_flips_is_believed_once_and_never_twice() {
    let millis = repetitions_or_long(300, 5_000, 10_000);
    let flipped = |what: &str,
                   flips: &[[u64; 3]],
                   name: &str,
                   mut call: Box<dyn FnMut() -> u64>,
                   most: u64| {
        let mut command = command!("peer-shm", "victim-flip", name, millis);
        command.args(flips.iter().flatten().map(ToString::to_string));
        let mut peer = ipc_testkit::Peer::start(&mut command);
        peer.expect("ready");
        let end = Instant::now() + Duration::from_millis(millis as u64);
        let (mut calls, mut came) = (0_u64, 0_u64);
        while Instant::now() < end {
            let start = Instant::now();
            came += call();
            calls += 1;
            assert!(start.elapsed() < ipc_testkit::WATCHDOG, "a call hung");
            assert!(came <= most, "{what}: {came} messages where there could be {most}");
        }
        let flips = peer.hear();
        peer.finish();
        proof!("F3", "{what}: {flips} flips, {calls} calls, {came} messages of {most} that can be; 0 wins");
    };

    // A sender that says now 8, now 0: there are 8 messages, whatever the second look says.
    let named = Name::new("flip-written");
    let mut receiver = spsc::Receiver::<Large>::create(&named.0, 16).unwrap();
    let turn = move || u64::from(receiver.recv_timeout(Duration::from_micros(30)).is_ok());
    flipped("packed receiver", &[[WRITTEN, 8, 0]], &named.0, Box::new(turn), 8);

    // A receiver that says now 8, now 0: there is room for 24.
    let named = Name::new("flip-read");
    let mut sender = spsc::Sender::<u64>::create(&named.0, 16).unwrap();
    let turn = move || u64::from(sender.send_timeout(&7, Duration::from_micros(30)).is_ok());
    flipped("sender", &[[READ, 8, 0]], &named.0, Box::new(turn), 24);

    let named = Name::new("flip-room");
    let mut sender = bytes::Sender::create(&named.0, 1024).unwrap();
    let turn = move || u64::from(sender.send_timeout(&[1; 300], Duration::from_micros(30)).is_ok());
    flipped("bytes sender, five blocks each", &[[READ, 8, 0]], &named.0, Box::new(turn), 4);

    // Lengths of a message of 16 blocks, of which all are there.
    let named = Name::new("flip-length");
    let mut receiver = bytes::Receiver::create(&named.0, 1024).unwrap();
    let mut buffer = Vec::new();
    let turn = move || match receiver.recv_timeout(&mut buffer, Duration::from_micros(30)) {
        Ok(len) => {
            assert!(len == buffer.len() && len <= receiver.max_len());
            1
        }
        Err(Error::TimedOut | Error::PeerCorrupt { .. }) => 0,
        Err(error) => panic!("{error}"),
    };
    flipped(
        "bytes receiver",
        &[[FIRST, 10, 900], [FIRST + 8, 56, u64::MAX], [WRITTEN, 16, 0]],
        &named.0,
        Box::new(turn),
        16,
    );

    // The control: who looks twice is beaten.
    let named = Name::new("flip-naive");
    let memory = SharedMemory::create(&named.0, 4096).unwrap();
    let mut peer = peer!("peer-shm", "victim-flip", named.0, 1000, FIRST, 8, 4000);
    peer.expect("ready");
    let begin = Instant::now();
    let (mut wins, mut looks) = (0_u64, 0_u64);
    while begin.elapsed() < Duration::from_millis(900) {
        looks += 1;
        if memory.read::<u64>(0).unwrap() <= 16 {
            let _payload = memory.read::<[u64; 64]>(8).unwrap();
            wins += u64::from(memory.read::<u64>(0).unwrap() > 16);
        }
    }
    peer.hear();
    peer.finish();
    assert!(wins > 0, "the harness shows no second look that differs");
    proof!("F3", "naive twin, which looks twice: beaten {wins} times in {looks} looks of 0.9 s");
}
