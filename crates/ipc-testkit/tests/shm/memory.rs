//! Memory from descriptors: what is refused, and who may do what with what he was given.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};

use ipc_shm::{Error, Invitation, PlainMemory, Refusal, Sealed, SharedMemory, Trusted, spsc};
use ipc_testkit::{name, peer, proof, skip};
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Removes a name at the end, however the test ends.
pub(crate) struct Name(pub(crate) String);

impl Name {
    pub(crate) fn new(what: &str) -> Self {
        Self(name::unique(what))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        for path in name::in_dev_shm(&self.0) {
            let _ = fs::remove_file(path);
        }
    }
}

pub(crate) fn refusal<T: std::fmt::Debug>(result: ipc_shm::Result<T>) -> Refusal {
    match result {
        Err(Error::Refused { reason, .. }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

/// A memfd with a copy of a good header, `len` bytes long, and these seals.
fn forged(len: u64, seals: SealFlag, change: impl FnOnce(&mut [u8])) -> OwnedFd {
    let good = File::from(SharedMemory::<Sealed>::anonymous(4096).unwrap().share().unwrap());
    let mut bytes = vec![0; 8192];
    std::os::unix::fs::FileExt::read_exact_at(&good, &mut bytes, 0).unwrap();
    change(&mut bytes);
    let file =
        File::from(memfd_create(c"forged", MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC).unwrap());
    let written = usize::try_from(len).unwrap().min(bytes.len());
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[..written], 0).unwrap();
    file.set_len(len).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file.into()
}

/// A copy of a memory file that lacks the page at `hole`.
fn with_hole(good: &File, hole: u64, seals: SealFlag) -> OwnedFd {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; usize::try_from(good.metadata().unwrap().len()).unwrap()];
    good.read_exact_at(&mut bytes, 0).unwrap();
    let flags = MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC;
    let file = File::from(memfd_create(c"holed", flags).unwrap());
    file.write_all_at(&bytes, 0).unwrap();
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(&file, punch, i64::try_from(hole).unwrap(), 4096).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file.into()
}

#[test]
fn f5_what_is_not_sealed_memory_is_refused_and_says_why() {
    const MAX: usize = 1 << 20;
    let all = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_FUTURE_WRITE;
    let sealed = |fd: OwnedFd| refusal(SharedMemory::<Sealed>::from_fd(fd, MAX));
    let trusted = |fd: OwnedFd| refusal(SharedMemory::<Trusted>::from_fd(fd, MAX));
    let open = |path: &str| OwnedFd::from(File::open(path).unwrap());

    let (pipe, _writer) = std::io::pipe().unwrap();
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let directory =
        nix::fcntl::open("/dev/shm", OFlag::O_PATH | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())
            .unwrap();
    for fd in [open("/dev/zero"), pipe.into(), socket.into(), directory] {
        assert_eq!(sealed(fd), Refusal::NotRegular);
    }
    // /tmp may be a tmpfs, as may be any directory of ours.
    assert_eq!(sealed(open("/proc/self/status")), Refusal::NotTmpfs);
    match memfd_create(c"huge", MFdFlags::MFD_HUGETLB | MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC) {
        Ok(fd) => assert_eq!(sealed(fd), Refusal::NotTmpfs),
        Err(errno) => println!("no memfd of huge pages here: {errno}"),
    }
    let none = SealFlag::empty();
    assert_eq!(sealed(forged(8192, none, |_| ())), Refusal::NotSealed);
    assert_eq!(trusted(forged(8192, none, |_| ())), Refusal::NotSealed);
    let length = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    assert_eq!(sealed(forged(8192, length, |_| ())), Refusal::NotSealed);
    let writable = SharedMemory::<Trusted>::anonymous(64).unwrap().share().unwrap();
    assert_eq!(sealed(writable), Refusal::NotSealed);
    let named = Name::new("f5");
    let _kept = SharedMemory::create(&named.0, 64).unwrap();
    assert_eq!(sealed(open(&format!("/dev/shm/{}", named.0))), Refusal::NotSealed);
    assert_eq!(trusted(open(&format!("/dev/shm/{}", named.0))), Refusal::NotSealed);

    assert_eq!(
        sealed(forged(2 << 20, all, |_| ())),
        Refusal::TooLong { len: 2 << 20, max: 4096 + (1 << 20) }
    );
    assert_eq!(sealed(forged(100, all, |_| ())), Refusal::TooShort { len: 100 });
    assert_eq!(sealed(forged(0, all, |_| ())), Refusal::TooShort { len: 0 });
    assert_eq!(sealed(forged(64 << 10, all, |_| ())), Refusal::Sparse);
    // All else is right, but a page is missing: before its end, where the length says nothing, and at it.
    for (len, hole) in [(4096, 4096), (64 << 10, 4096), (64 << 10, 64 << 10)] {
        let good = File::from(SharedMemory::<Sealed>::anonymous(len).unwrap().share().unwrap());
        assert_eq!(sealed(with_hole(&good, hole, all)), Refusal::Sparse);
    }
    let (_, invitation) = spsc::Sender::<u64, Sealed>::offer(1024).unwrap();
    let good = File::from(Vec::<OwnedFd>::from(invitation).remove(0));
    let holed = Invitation::<spsc::Receiver<u64, Sealed>>::try_from(vec![with_hole(&good, 8192, all)]);
    assert_eq!(refusal(holed.unwrap().accept()), Refusal::Sparse);
    assert_eq!(sealed(forged(8192, all, |bytes| bytes.fill(0))), Refusal::Foreign);
    assert_eq!(sealed(forged(4096, all, |_| ())), Refusal::Capacity);
    assert!(SharedMemory::<Sealed>::from_fd(forged(8192, all, |_| ()), MAX).is_ok());
}

#[test]
fn f2_every_header_byte_is_looked_at_or_does_not_matter() {
    let all = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_FUTURE_WRITE;
    let (mut refused, mut tried) = (0, 0);
    for at in 0..256 {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let file = forged(8192, all, |bytes| bytes[at] = value);
            tried += 1;
            match SharedMemory::<Sealed>::from_fd(file, 1 << 20) {
                Ok(memory) => {
                    assert_eq!(memory.len(), 4096);
                    memory.read::<[u8; 4096]>(0).unwrap();
                    assert!(!memory.owner_is_alive().unwrap());
                }
                Err(Error::Refused { .. }) => refused += 1,
                Err(other) => panic!("byte {at} as {value:#x}: {other}"),
            }
        }
    }
    assert!(refused > 300, "{refused}");
    proof!("F2", "{tried} forged headers of plain memory, {refused} refused, none harmful");
}

#[test]
fn f5_the_other_mode_and_another_tag_are_refused() {
    use ipc_shm::MemoryOptions;
    let named = Name::new("tag");
    let _kept = SharedMemory::create_with(&named.0, 64, &MemoryOptions::new().tag(7)).unwrap();
    let tags = Refusal::Tag { found: 7.into(), wanted: 0.into() };
    assert_eq!(refusal(SharedMemory::open(&named.0)), tags);
    assert!(SharedMemory::open_with(&named.0, &MemoryOptions::new().tag(7)).is_ok());
    let sealed = SharedMemory::<Sealed>::anonymous(64).unwrap();
    let error = SharedMemory::<Trusted>::from_fd(sealed.share().unwrap(), 1 << 20).unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
    assert_eq!(error.errno(), Some(libc::EACCES));
}

#[test]
fn f4_sealed_memory_cannot_be_changed_by_who_receives_it() {
    let memory = SharedMemory::<Sealed>::anonymous(4096).unwrap();
    memory.write_at(0, b"intact").unwrap();
    let handed = memory.share().unwrap();
    let mut peer =
        peer!("peer-shm", "attacker", format!("/proc/{}/fd/{}", std::process::id(), handed.as_raw_fd()));
    for attempt in ["write", "shrink", "grow", "punch", "map"] {
        peer.expect(&format!("{attempt} Some(EPERM)"));
    }
    peer.expect("protect Some(EACCES)");
    peer.finish();
    let mut text = [0; 6];
    memory.read_at(0, &mut text).unwrap();
    assert_eq!(&text, b"intact");
}

#[test]
fn f4_a_full_tmpfs_is_an_error_and_not_a_signal() {
    if !nix::unistd::geteuid().is_root() {
        skip!("mounting a small tmpfs needs root");
    }
    let mut peer = peer!("peer-shm", "full");
    for line in [
        "shared: no space for 1052672",
        "plain: no space for 1048576",
        "shared: Ok(SharedMemory<Trusted>(61440 bytes))",
        "plain: Ok(61440)",
        "left 0",
    ] {
        peer.expect(line);
    }
    peer.finish();
}

#[test]
fn what_needs_proc_says_so_where_it_is_not_mounted() {
    if !nix::unistd::geteuid().is_root() {
        skip!("a mount of our own over /proc needs root");
    }
    let name = Name::new("without-proc");
    let mut peer = peer!("peer-shm", "without-proc", name.0);
    for what in ["share", "create", "channel", "latest"] {
        peer.expect(&format!("{what}: NotFound"));
    }
    peer.expect("open: None");
    peer.finish();
}

#[test]
fn a_c_programs_memory_opens_with_its_holes_filled() {
    let named = Name::new("plain");
    let path = format!("/dev/shm/{}", named.0);
    let theirs = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    assert_eq!(refusal(PlainMemory::open(&named.0)), Refusal::TooShort { len: 0 });
    theirs.set_len(10_000).unwrap();
    let ours = PlainMemory::open(&named.0).unwrap();
    assert_eq!(ours.len(), 10_000);
    ours.write_at(9_998, b"ok").unwrap();
    let mut end = [0; 2];
    std::os::unix::fs::FileExt::read_exact_at(&theirs, &mut end, 9_998).unwrap();
    assert_eq!(&end, b"ok");
    assert!(matches!(ours.write_at(9_999, b"ok"), Err(Error::OutOfBounds { .. })));
    assert!(matches!(ours.read_at(usize::MAX, &mut end), Err(Error::OutOfBounds { .. })));
}

#[test]
fn a_forked_child_is_told_so_and_harms_nobody() {
    let named = Name::new("fork");
    let mut peer = peer!("peer-shm", "forker", named.0);
    peer.expect("child [true, true, true, true, true] true Some(7)");
    peer.expect("parent 7 true");
    peer.finish();
    assert!(name::in_dev_shm(&named.0).is_empty());
}

/// How much of the memory of this name is mapped by huge pages here, in KiB (/proc/self/smaps).
fn huge_kib(name: &str) -> usize {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(format!("/dev/shm/{name}")).unwrap().ino().to_string();
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut ours = false;
    let mut sum = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("ShmemPmdMapped:") if ours => sum += words.next().unwrap().parse::<usize>().unwrap(),
            Some(range) if !range.ends_with(':') => ours = words.nth(3) == Some(&inode),
            _ => {}
        }
    }
    sum
}

#[test]
fn memory_from_2_mib_on_lies_in_huge_pages_where_there_are_any() {
    const LEN: usize = 5 << 20;
    let named = Name::new("huge");
    let mut huge = 0;
    // There may be none free for a moment.
    for attempt in 0..20 {
        let plain = PlainMemory::create(format!("{}-{attempt}", named.0), LEN).unwrap();
        huge = huge_kib(&format!("{}-{attempt}", named.0));
        let mut bytes = vec![1; LEN];
        plain.read_at(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0));
        if huge == 4096 {
            break;
        }
    }
    if huge == 0 && !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        skip!("a kernel without transparent huge pages");
    }
    assert_eq!(huge, 4096, "two of two whole huge pages");

    let ours = SharedMemory::create(&named.0, LEN).unwrap();
    ours.write(LEN - 8, &7_u64).unwrap();
    let once = huge_kib(&named.0);
    let theirs = SharedMemory::open(&named.0).unwrap();
    assert_eq!(theirs.read::<u64>(LEN - 8).unwrap(), 7);
    assert_eq!(huge_kib(&named.0), 2 * once, "who attaches it maps it likewise");
    // What sealing, locks and futexes do to small pages they do to these.
    let sealed = SharedMemory::<Sealed>::anonymous(LEN).unwrap();
    sealed.write(LEN - 8, &9_u64).unwrap();
    let theirs = SharedMemory::<Sealed>::from_fd(sealed.share().unwrap(), 2 * LEN).unwrap();
    assert_eq!(theirs.read::<u64>(LEN - 8).unwrap(), 9);
    assert!(theirs.write(0, &0_u64).is_err());
}

#[test]
fn a_channel_of_16_mib_carries_and_wakes_as_a_small_one_does() {
    let named = Name::new("huge-channel");
    let mut receiver = ipc_shm::spsc::Receiver::<u64>::create(&named.0, 1 << 20).unwrap();
    receiver.set_wait(ipc_shm::Wait::Park);
    let mut peer = peer!("peer-shm", "spsc-sender", named.0, 0, 50_000, "park");
    for message in 0..50_000 {
        assert_eq!(receiver.recv().unwrap(), message);
    }
    peer.expect("ready");
    peer.expect("sent");
    peer.finish();
}
