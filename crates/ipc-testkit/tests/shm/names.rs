//! Names of memory: who makes one, who replaces it, what it cannot be, and who may do what with it.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use ipc_shm::{
    Error, PlainMemory, Refusal, Sealed, Shared, SharedMemory, Trusted, broadcast, bytes, latest, list, mpmc,
    remove_stale, request, spsc,
};
use ipc_testkit::{Peer, name, peer, proof, repetitions, skip};
use nix::fcntl::{FcntlArg, fcntl};

use crate::memory::{Name, refusal};

#[test]
fn f14_one_of_many_creators_wins_each_name() {
    let names = repetitions(200, 1000);
    let wrong = |role: &str| {
        let prefix = Name::new("race");
        let mut peers: Vec<_> = (0..3).map(|_| peer!("peer-shm", role, prefix.0, names)).collect();
        for peer in &mut peers {
            peer.expect("ready");
        }
        for peer in &mut peers {
            peer.tell("go");
        }
        let mut winners = vec![0; names];
        for mut peer in peers {
            for turn in peer.hear().split_whitespace() {
                winners[turn.parse::<usize>().unwrap()] += 1;
            }
            peer.finish();
        }
        winners.iter().filter(|count| **count != 1).count()
    };
    assert_eq!(wrong("racer"), 0);
    let naive: usize = (0..20).map(|_| wrong("naive-racer")).take_while(|wrong| *wrong == 0).count();
    assert!(naive < 20, "the harness shows no race at all");
    proof!(
        "F14",
        "{names} names, 3 processes, one winner each; naive twin wrong after {naive} rounds without a race"
    );
}

#[test]
fn f13_of_many_who_replace_what_a_dead_one_left_one_does_and_all_meet() {
    const PARTIES: usize = 3;
    let names = repetitions(300, 3000);
    let wrong = |role: &str| {
        let prefix = Name::new("replaced");
        for turn in 0..names {
            SharedMemory::create(format!("{}-{turn}", prefix.0), 64).unwrap().persist();
        }
        let meeting = Name::new("meeting");
        let _words = Shared::<[AtomicU64; 64]>::create(&meeting.0, |_| Ok(())).unwrap();
        let mut peers: Vec<_> =
            (0..PARTIES).map(|_| peer!("peer-shm", role, prefix.0, names, meeting.0, PARTIES)).collect();
        let mut found: Vec<Vec<(String, String)>> = vec![Vec::new(); names];
        for peer in &mut peers {
            for (turn, seen) in peer.hear().split_whitespace().enumerate() {
                let (origin, file) = seen.split_once(':').unwrap();
                found[turn].push((origin.to_owned(), file.to_owned()));
            }
        }
        peers.into_iter().for_each(Peer::finish);
        let met = |seen: &&Vec<(String, String)>| {
            seen.len() == PARTIES
                && seen.iter().all(|(_, file)| *file == seen[0].1)
                && seen.iter().filter(|(origin, _)| origin != "Opened").count() == 1
        };
        names - found.iter().filter(met).count()
    };
    assert_eq!(wrong("replacer"), 0);
    let naive: usize = (0..20).map(|_| wrong("naive-replacer")).take_while(|wrong| *wrong == 0).count();
    assert!(naive < 20, "the harness shows no race at all");
    proof!(
        "F13",
        "{names} dead names replaced by 3 at once: one made each anew, all met in it; naive twin, which looks and then replaces, apart after {naive} rounds"
    );
}

#[test]
fn f4_whatever_is_made_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |file: &File| file.metadata().unwrap().permissions().mode() & 0o7777;
    fn made<T>(made: ipc_shm::Result<T>) -> T {
        made.unwrap()
    }
    let names: Vec<Name> = (0..9).map(|_| Name::new("mode")).collect();
    let name = |at: usize| names[at].0.as_str();
    let _kept = (
        made(SharedMemory::create(name(0), 64)),
        made(PlainMemory::create(name(1), 64)),
        made(SharedMemory::open_or_replace(name(2), 64)),
        made(spsc::Sender::<u64>::create(name(3), 16)),
        made(bytes::Receiver::create(name(4), 1024)),
        made(latest::Writer::<u64>::create(name(5))),
        made(broadcast::Writer::<u64>::create(name(6), 16)),
        made(mpmc::Sender::<u64>::create(name(7), 16)),
        made(request::Server::<u64, u64>::create(name(8), 16)),
    );
    for named in &names {
        let file = File::open(format!("/dev/shm/{}", named.0)).unwrap();
        assert_eq!(mode(&file), 0o600, "{}", named.0);
    }
    let (_sender, invitation) = spsc::Sender::<u64, Sealed>::offer(16).unwrap();
    let mut nameless = vec![
        SharedMemory::<Sealed>::anonymous(64).unwrap().share().unwrap(),
        SharedMemory::<Trusted>::anonymous(64).unwrap().share().unwrap(),
    ];
    nameless.extend(Vec::<OwnedFd>::from(invitation));
    for descriptor in nameless {
        assert_eq!(mode(&File::from(descriptor)), 0o600);
    }
    proof!("F4", "9 kinds with a name and 3 without: mode 0600 each");
}

#[test]
fn f14_a_name_that_cannot_be_is_refused_by_every_call() {
    let long = "x".repeat(256);
    for bad in ["", "/", "a/b", "..", "a\0b", &long] {
        let refused =
            |error: Option<Error>| assert!(matches!(error, Some(Error::InvalidName { .. })), "{bad:?}");
        refused(SharedMemory::create(bad, 64).err());
        refused(SharedMemory::open(bad).err());
        refused(SharedMemory::open_or_replace(bad, 64).err());
        refused(SharedMemory::unlink(bad).err());
        refused(PlainMemory::create(bad, 64).err());
        refused(PlainMemory::open(bad).err());
    }
    let longest = format!("{:x<255}", name::unique("longest"));
    drop(SharedMemory::create(&longest, 64).unwrap());
    assert!(matches!(SharedMemory::create(&longest, 0), Err(Error::InvalidParameter { .. })));
    assert!(matches!(SharedMemory::open(&longest), Err(Error::NotFound { .. })));
}

#[test]
fn f14_who_holds_a_removed_name_keeps_the_old_memory() {
    let named = Name::new("unlink");
    let old = SharedMemory::create(&named.0, 64).unwrap();
    let also_old = SharedMemory::open(&named.0).unwrap();
    SharedMemory::unlink(&named.0).unwrap();
    let new = SharedMemory::create(&named.0, 64).unwrap();
    old.write(0, &1_u64).unwrap();
    new.write(0, &2_u64).unwrap();
    assert_eq!(also_old.read::<u64>(0).unwrap(), 1);
    drop(old);
    assert_eq!(
        SharedMemory::open(&named.0).unwrap().read::<u64>(0).unwrap(),
        2,
        "the old handle removed the new name"
    );
    drop(new);
    assert!(matches!(SharedMemory::unlink(&named.0), Err(Error::NotFound { .. })));
}

#[test]
fn f13_a_dead_owners_name_is_replaced_and_a_living_ones_is_opened() {
    let named = Name::new("replace");
    let mut first = peer!("peer-shm", "holder", named.0);
    first.expect("created");
    let mut second = peer!("peer-shm", "holder", named.0);
    second.expect("opened");
    first.kill();
    let mut third = peer!("peer-shm", "holder", named.0);
    third.expect("opened");
    second.kill();
    third.kill();
    let shown = list().unwrap().into_iter().find(|listed| *listed.name == *named.0).unwrap();
    assert_eq!((shown.kind, shown.attached, shown.mode), (Some("memory"), false, 0o600));
    let mut fourth = peer!("peer-shm", "holder", named.0);
    fourth.expect("replaced");
    assert_eq!(remove_stale(&named.0).unwrap().len(), 0);
    fourth.kill();
    assert_eq!(remove_stale(&named.0).unwrap(), [named.0.as_str()]);
    assert!(matches!(SharedMemory::open(&named.0), Err(Error::NotFound { .. })));
}

#[test]
fn f13_what_is_not_ours_is_neither_opened_nor_replaced_nor_swept() {
    let named = Name::new("foreign");
    let path = format!("/dev/shm/{}", named.0);
    for bytes in [&b"somebody's"[..], &[0; 8192]] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(SharedMemory::open(&named.0), Err(Error::Refused { .. })));
        assert!(matches!(SharedMemory::open_or_replace(&named.0, 64), Err(Error::Refused { .. })));
        assert_eq!(remove_stale(&named.0).unwrap().len(), 0);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    assert_eq!(SharedMemory::open(&named.0).unwrap_err().errno(), Some(libc::ELOOP));
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(path.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(refusal(SharedMemory::open(&named.0)), Refusal::NotRegular);
    assert_eq!(refusal(PlainMemory::open(&named.0)), Refusal::NotRegular);
    assert!(matches!(SharedMemory::create(&named.0, 64), Err(Error::Exists { .. })));
}

#[test]
fn another_user_can_do_nothing_with_what_is_0600() {
    if !nix::unistd::geteuid().is_root() {
        skip!("becoming another user needs root");
    }
    let named = Name::new("stranger");
    let _kept = SharedMemory::create(&named.0, 64).unwrap();
    let sealed = SharedMemory::<Sealed>::anonymous(64).unwrap();
    let handed = sealed.share().unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), handed.as_raw_fd());
    let mut peer = peer!("peer-shm", "stranger", named.0, path);
    for line in [
        "open Some(13)",
        "plain Some(13)",
        "replace Some(13)",
        "unlink Some(1)",
        "descriptor Some(13)",
        "removed 0",
    ] {
        peer.expect(line);
    }
    peer.finish();
}

#[test]
fn who_may_only_read_a_name_can_keep_others_from_an_end_and_nothing_else() {
    let named = Name::new("read-lock");
    let options = ipc_shm::ChannelOptions::new(16).mode(0o644);
    let mut sender = ipc_shm::spsc::Sender::<u64>::create(&named.0, options).unwrap();
    let reader = File::open(format!("/dev/shm/{}", named.0)).unwrap();
    let all = libc::flock {
        l_type: i16::try_from(libc::F_RDLCK).unwrap(),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // The sender's byte is locked for writing, and all of them together are refused.
    assert!(fcntl(&reader, FcntlArg::F_OFD_SETLK(&all)).is_err());
    let receivers = libc::flock { l_start: (1 << 40) + 2, l_len: 1, ..all };
    fcntl(&reader, FcntlArg::F_OFD_SETLK(&receivers)).unwrap();
    let kept_out = ipc_shm::spsc::Receiver::<u64>::open(&named.0);
    assert!(matches!(kept_out, Err(Error::EndInUse { .. })), "{kept_out:?}");
    // It does not look like a receiver that lives.
    sender.send(&1).unwrap();
    assert_eq!(sender.stat().unwrap().receiver.presence, ipc_shm::Presence::Absent);
    drop(reader);
    assert_eq!(ipc_shm::spsc::Receiver::<u64>::open(&named.0).unwrap().recv().unwrap(), 1);
}
