//! Two users: one makes, the other tries.
#![expect(unsafe_code, reason = "a stranger maps what no safe call lets it")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};

use ipc_shm::{Error, Sealed, SharedMemory, Trusted, broadcast, bytes, latest, spsc};
use ipc_testkit::refuse;
use ipc_testkit::role::{Result, Role, hear, say};
use nix::errno::Errno;

use crate::ends::Large;

pub(crate) const ROLES: &[Role] = &[("own-all", own_all), ("try-all", try_all)];

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
    refuse::become_user(arguments[0].parse()?)?;
    // Its own /proc/self is its own again; that is not what keeps it out.
    nix::sys::prctl::set_dumpable(true)?;
    let names: Vec<&str> = arguments[1].split(',').collect();
    let tell = |what: &str, error: Option<Error>| -> Result {
        say(format_args!("{what} {:?}", error.and_then(|error| error.errno())))
    };
    tell("slots", spsc::Sender::<u64>::open(names[0]).err())?;
    tell("receiver", spsc::Receiver::<u64>::open(names[0]).err())?;
    tell("packed replaced", spsc::Sender::<Large>::open_or_replace(names[1], 16).err())?;
    tell("bytes", bytes::Receiver::open(names[2]).err())?;
    tell("latest", latest::Reader::<u64>::open(names[3]).err())?;
    tell("broadcast", broadcast::Reader::<u64>::open(names[4]).err())?;
    tell("shared", SharedMemory::open(names[5]).err())?;
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
