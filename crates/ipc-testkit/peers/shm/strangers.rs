//! Two users: one makes, the other tries. And a kernel that does not permit.
#![expect(unsafe_code, reason = "a stranger maps what no safe call lets it")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ipc_shm::{
    Barrier, Error, Event, PlainMemory, Sealed, Semaphore, Shared, SharedMemory, Trusted, broadcast, bytes,
    latest, spsc,
};
use ipc_testkit::refuse;
use ipc_testkit::role::{Result, Role, hear, say};
use nix::errno::Errno;

use crate::ends::Large;

pub(crate) const ROLES: &[Role] =
    &[("own-all", own_all), ("try-all", try_all), ("not-permitted", not_permitted)];

/// `own-all UID NAMES`: makes one of each as this user, and says where its descriptors are.
fn own_all(arguments: &[String]) -> Result {
    let user: u32 = arguments[0].parse()?;
    if user != 0 {
        refuse::become_user(user)?;
    }
    let names: Vec<&str> = arguments[1].split(',').collect();
    let _slots = spsc::Sender::<u64>::create(names[0], 16)?;
    let _packed = spsc::Receiver::<Large>::create(names[1], 16)?;
    let _bytes = bytes::Sender::create(names[2], 1024)?;
    let _latest = latest::Writer::<u64>::create(names[3])?;
    let _broadcast = broadcast::Writer::<u64>::create(names[4], 16)?;
    let _shared = SharedMemory::create(names[5], 64)?;
    let sealed = SharedMemory::<Sealed>::anonymous(64)?.share()?;
    let common = SharedMemory::<Trusted>::anonymous(64)?.share()?;
    let (_offer, invitation) = spsc::Sender::<u64, Sealed>::offer(16)?;
    let part: Vec<OwnedFd> = invitation.into();
    let numbers = [&sealed, &common, &part[0]].map(|descriptor| descriptor.as_raw_fd().to_string());
    say(numbers.join(","))?;
    hear()?;
    Ok(())
}

/// `try-all UID NAMES OWNER DESCRIPTORS`: gets the owner's descriptors, then as this user tries what it can.
fn try_all(arguments: &[String]) -> Result {
    let owner: i32 = arguments[2].parse()?;
    let mut received = Vec::new();
    for number in arguments[3].split(',') {
        received.push(File::open(format!("/proc/{owner}/fd/{number}"))?);
    }
    let lock_file = tempfile::tempfile()?;
    refuse::become_user(arguments[0].parse()?)?;
    // Its own /proc/self is its own again; that is not what keeps it out.
    nix::sys::prctl::set_dumpable(true)?;
    let names: Vec<&str> = arguments[1].split(',').collect();
    tell("slots", spsc::Sender::<u64>::open(names[0]).err())?;
    tell("receiver", spsc::Receiver::<u64>::open(names[0]).err())?;
    tell("packed replaced", spsc::Sender::<Large>::open_or_replace(names[1], 16).err())?;
    tell("bytes", bytes::Receiver::open(names[2]).err())?;
    tell("latest", latest::Reader::<u64>::open(names[3]).err())?;
    tell("broadcast", broadcast::Reader::<u64>::open(names[4]).err())?;
    tell("shared", SharedMemory::open(names[5]).err())?;
    tell("plain", PlainMemory::open(names[5]).err())?;
    tell("value", Shared::<AtomicU64>::open(names[5]).err())?;
    tell("stat", ipc_shm::stat(names[0]).err())?;
    let attachment = ipc_sysv::Segment::ephemeral(4096)?;
    tell("lock file", ipc_shm::sysv::Place::new(attachment, &lock_file).err())?;
    let path = format!("/dev/shm/{}", names[5]);
    let errno = |error: std::io::Error| error.raw_os_error();
    say(format_args!("raw open {:?}", File::open(&path).err().and_then(errno)))?;
    let truncated = nix::unistd::truncate(path.as_str(), 0).err().map(|error| error as i32);
    say(format_args!("truncate {truncated:?}"))?;
    tell("unlink", SharedMemory::unlink(names[5]).err())?;
    let signal = nix::sys::signal::kill(nix::unistd::Pid::from_raw(owner), None);
    say(format_args!("signal {:?}", signal.err().map(|error| error as i32)))?;
    say(format_args!("removed {}", ipc_shm::remove_stale("ipc-testkit-")?.len()))?;
    for (what, file) in ["sealed", "common", "part"].into_iter().zip(&received) {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let again = OpenOptions::new().read(true).write(true).open(path);
        say(format_args!("{what} again {:?}", again.err().and_then(errno)))?;
    }
    // SAFETY: a new mapping at the kernel's choice of address.
    let base = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), 4096, access, libc::MAP_SHARED, received[1].as_raw_fd(), 0)
    };
    say(format_args!("map {:?}", (base == libc::MAP_FAILED).then(|| Errno::last() as i32)))
}

/// Says the errno of what is not permitted, and anything else in full.
fn tell(what: &str, error: Option<Error>) -> Result {
    match error {
        Some(Error::PermissionDenied { source, .. }) => {
            say(format_args!("{what} {:?}", source.raw_os_error()))
        }
        other => say(format_args!("{what}: {other:?}")),
    }
}

/// `not-permitted NAME`: has system calls refused, one after the other, and says what comes of those that need them.
fn not_permitted(arguments: &[String]) -> Result {
    let name = &arguments[0];
    let there = SharedMemory::create(format!("{name}-there"), 64)?;
    let barrier = Shared::<Barrier<2>>::anonymous(|_| Ok(()))?;
    let semaphore = Shared::<Semaphore>::anonymous(|_| Ok(()))?;
    let event = Shared::<Event>::anonymous(|_| Ok(()))?;
    let (semaphore, event) = (semaphore.get()?, event.get()?);
    let mut party = barrier.get()?.join(&barrier)?;

    refuse::call(libc::SYS_linkat, libc::EACCES)?;
    tell("memory", SharedMemory::create(name, 64).err())?;
    tell("plain", PlainMemory::create(name, 64).err())?;
    tell("value", Shared::<AtomicU64>::create(name, |_| Ok(())).err())?;
    tell("channel", spsc::Sender::<u64>::create(name, 16).err())?;
    tell("latest", latest::Writer::<u64>::create(name).err())?;
    tell("broadcast", broadcast::Writer::<u64>::create(name, 16).err())?;
    tell("replaced", SharedMemory::open_or_replace(name, 64).err())?;

    refuse::call(libc::SYS_futex, libc::EPERM)?;
    let soon = Duration::from_millis(1);
    tell("acquire", semaphore.acquire().err())?;
    tell("acquire in time", semaphore.acquire_timeout(soon).err())?;
    // Those that could not wait have said that they would.
    tell("release", semaphore.release(1).err())?;
    say(format_args!("{} permit", semaphore.permits()))?;
    tell("wait", event.wait().err())?;
    tell("wait in time", event.wait_timeout(soon).err())?;
    tell("set", event.set().err())?;
    say(format_args!("set: {}", event.is_set()))?;
    tell("meet", party.wait().err())?;
    tell("meet in time", party.wait_timeout(soon).err())?;

    refuse::call(libc::SYS_openat, libc::EACCES)?;
    tell("share", there.share().err())?;
    tell("join", barrier.get()?.join(&barrier).err())
}
