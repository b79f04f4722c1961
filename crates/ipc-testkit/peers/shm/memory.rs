//! Processes that make, attach and attack memory.
#![expect(
    unsafe_code,
    reason = "an attacker calls what the safe API does not offer, and a child is forked raw"
)]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_shm::{Error, Origin, PlainMemory, Sealed, Shared, SharedMemory, broadcast, bytes, latest, spsc};
use ipc_testkit::refuse;
use ipc_testkit::role::{Result, Role, hear, say};
use nix::errno::Errno;

pub(crate) const ROLES: &[Role] = &[
    ("racer", racer),
    ("naive-racer", naive_racer),
    ("replacer", replacer),
    ("naive-replacer", naive_replacer),
    ("holder", holder),
    ("attacker", attacker),
    ("full", full),
    ("full-channels", full_channels),
    ("without-proc", without_proc),
    ("stranger", stranger),
    ("forker", forker),
];

/// `racer PREFIX COUNT`: creates each of COUNT names and says how many times it was the first.
fn racer(arguments: &[String]) -> Result {
    race(arguments, |name| match SharedMemory::create(name, 64) {
        Ok(memory) => {
            memory.persist();
            Ok(true)
        }
        Err(Error::Exists { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    })
}

/// The usual mistake: look first, then create.
fn naive_racer(arguments: &[String]) -> Result {
    race(arguments, |name| {
        let path = Path::new("/dev/shm").join(name);
        let absent = !path.exists();
        OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        Ok(absent)
    })
}

fn race(arguments: &[String], mut create: impl FnMut(&str) -> Result<bool>) -> Result {
    let [prefix, count] = arguments else { return Err("racer PREFIX COUNT".into()) };
    say("ready")?;
    hear()?;
    let mut won = Vec::new();
    for turn in 0..count.parse::<u32>()? {
        if create(&format!("{prefix}-{turn}"))? {
            won.push(turn.to_string());
        }
    }
    say(won.join(" "))
}

/// `replacer PREFIX COUNT MEETING PARTIES`: opens or replaces each of COUNT names when the others do, and says which it was
/// and which file it got.
fn replacer(arguments: &[String]) -> Result {
    replace_together(arguments, |name| {
        let (memory, origin) = SharedMemory::open_or_replace(name, 64)?;
        let file = File::from(memory.share()?);
        Ok((format!("{origin:?}"), file, memory))
    })
}

/// The usual mistake: look whether anybody has it, then put a new one in its place.
fn naive_replacer(arguments: &[String]) -> Result {
    replace_together(arguments, |name| {
        use nix::fcntl::{Flock, FlockArg};
        let path = Path::new("/dev/shm").join(name);
        let found = OpenOptions::new().read(true).write(true).open(&path)?;
        let used = Flock::lock(found.try_clone()?, FlockArg::LockExclusiveNonblock).is_err();
        let file = if used {
            found
        } else {
            let temporary = path.with_extension(std::process::id().to_string());
            let new = OpenOptions::new().read(true).write(true).create_new(true).open(&temporary)?;
            std::fs::rename(temporary, path)?;
            new
        };
        let kept = Flock::lock(file.try_clone()?, FlockArg::LockShared).map_err(|(_, errno)| errno)?;
        Ok((if used { "Opened" } else { "Replaced" }.to_owned(), file, kept))
    })
}

fn replace_together<T>(
    arguments: &[String],
    mut replace: impl FnMut(&str) -> Result<(String, File, T)>,
) -> Result {
    use std::os::unix::fs::MetadataExt;
    let meeting = Shared::<[AtomicU64; 64]>::open(&arguments[2])?;
    let words = meeting.get()?;
    let parties: u64 = arguments[3].parse()?;
    let mut met = 0;
    let mut meet = || {
        met += parties;
        words[0].fetch_add(1, Ordering::SeqCst);
        while words[0].load(Ordering::SeqCst) < met {
            std::thread::yield_now();
        }
    };
    let mut seen = Vec::new();
    for turn in 0..arguments[1].parse::<u32>()? {
        meet();
        let replaced = replace(&format!("{}-{turn}", arguments[0]));
        // Each holds what it got until all have got it.
        meet();
        let (origin, file, _held) = replaced?;
        seen.push(format!("{origin}:{}", file.metadata()?.ino()));
        meet();
    }
    say(seen.join(" "))
}

/// `holder NAME`: opens or replaces the name, says which it was, and holds it until its input ends.
fn holder(arguments: &[String]) -> Result {
    let (memory, origin) = SharedMemory::open_or_replace(&arguments[0], 64)?;
    say(match origin {
        Origin::Created => "created",
        Origin::Opened => "opened",
        Origin::Replaced => "replaced",
        _ => "?",
    })?;
    let _ = hear();
    drop(memory);
    Ok(())
}

/// `attacker PATH-OF-DESCRIPTOR`: tries to change sealed memory in every way that the kernel has.
fn attacker(arguments: &[String]) -> Result {
    let file = OpenOptions::new().read(true).write(true).open(&arguments[0])?;
    let fd = file.as_raw_fd();
    // SAFETY: the descriptor is open, the buffer is a live byte.
    let write = unsafe { libc::pwrite(fd, b"x".as_ptr().cast(), 1, 0) };
    say(format_args!("write {:?}", Errno::result(write).err()))?;
    // SAFETY: as above; both take integers only.
    let shrink = unsafe { libc::ftruncate(fd, 0) };
    say(format_args!("shrink {:?}", Errno::result(shrink).err()))?;
    // SAFETY: as above.
    let grow = unsafe { libc::ftruncate(fd, 1 << 20) };
    say(format_args!("grow {:?}", Errno::result(grow).err()))?;
    // SAFETY: as above.
    let punch =
        unsafe { libc::fallocate(fd, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, 0, 4096) };
    say(format_args!("punch {:?}", Errno::result(punch).err()))?;
    // SAFETY: a new mapping at the kernel's choice of address.
    let map = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), 4096, access, libc::MAP_SHARED, fd, 0)
    };
    say(format_args!("map {:?}", (map == libc::MAP_FAILED).then(Errno::last)))?;
    // SAFETY: a new mapping at the kernel's choice of address.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
    // SAFETY: the page was mapped on the line above.
    let protect = unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_WRITE) };
    say(format_args!("protect {:?}", Errno::result(protect).err()))
}

/// `full`: in a mount namespace of its own, with 64 KiB of /dev/shm, asks for more.
fn full(_: &[String]) -> Result {
    refuse::tmpfs("/dev/shm", "size=64k")?;
    for len in [1 << 20, 60 << 10] {
        match SharedMemory::create("/full", len) {
            Err(Error::NoSpace { len: asked }) => say(format_args!("shared: no space for {asked}"))?,
            other => say(format_args!("shared: {other:?}"))?,
        }
        match PlainMemory::create("/full", len) {
            Err(Error::NoSpace { len: asked }) => say(format_args!("plain: no space for {asked}"))?,
            other => say(format_args!("plain: {:?}", other.map(|memory| memory.len())))?,
        }
    }
    let left = std::fs::read_dir("/dev/shm")?.count();
    say(format_args!("left {left}"))
}

/// The same, of channels.
fn full_channels(_: &[String]) -> Result {
    fn tell<T>(what: &str, made: ipc_shm::Result<T>) -> Result {
        match made {
            Err(Error::NoSpace { .. }) => say(format_args!("{what}: no space")),
            Err(error) => Err(error.into()),
            Ok(_) => say(format_args!("{what}: made")),
        }
    }
    refuse::tmpfs("/dev/shm", "size=64k")?;
    let capacity = 1 << 16;
    tell("slots", spsc::Sender::<u64>::create("/full", capacity))?;
    tell("replaced", spsc::Receiver::<u64>::open_or_replace("/full", capacity))?;
    tell("packed", spsc::Sender::<[u64; 8]>::create("/full", capacity))?;
    tell("bytes", bytes::Receiver::create("/full", capacity))?;
    tell("latest", latest::Writer::<[u64; 4096]>::create("/full"))?;
    tell("broadcast", broadcast::Writer::<u64>::create("/full", capacity))?;
    let _small = spsc::Sender::<u64>::create("/full", 16)?;
    say(format_args!("small: made, left {}", std::fs::read_dir("/dev/shm")?.count()))
}

/// `without-proc NAME`: what needs /proc, where it is not mounted.
fn without_proc(arguments: &[String]) -> Result {
    let name = &arguments[0];
    let sealed = SharedMemory::<Sealed>::anonymous(4096)?;
    let named = PlainMemory::create(name, 4096)?;
    refuse::tmpfs("/proc", "")?;
    for (what, error) in [
        ("share", sealed.share().err()),
        ("create", SharedMemory::create(format!("{name}-2"), 4096).err()),
        ("channel", spsc::Sender::<u64>::create(format!("{name}-3"), 16).err()),
        (
            "latest",
            latest::Writer::<u64, Sealed>::anonymous().and_then(|writer| writer.share().map(drop)).err(),
        ),
        ("open", PlainMemory::open(name).err()),
    ] {
        match error {
            Some(Error::System { source, .. }) => say(format_args!("{what}: {:?}", source.kind()))?,
            other => say(format_args!("{what}: {other:?}"))?,
        }
    }
    drop(named);
    Ok(())
}

/// `stranger NAME FD-PATH`: another user, who may not touch what is 0600.
fn stranger(arguments: &[String]) -> Result {
    let nobody = nix::unistd::Uid::from_raw(65534);
    nix::unistd::setgroups(&[])?;
    nix::unistd::setresgid(
        nix::unistd::Gid::from_raw(65534),
        nix::unistd::Gid::from_raw(65534),
        nix::unistd::Gid::from_raw(65534),
    )?;
    nix::unistd::setresuid(nobody, nobody, nobody)?;
    let errno = |error: Error| error.errno();
    say(format_args!("open {:?}", SharedMemory::open(&arguments[0]).err().and_then(errno)))?;
    say(format_args!("plain {:?}", PlainMemory::open(&arguments[0]).err().and_then(errno)))?;
    say(format_args!(
        "replace {:?}",
        SharedMemory::open_or_replace(&arguments[0], 64).err().and_then(errno)
    ))?;
    say(format_args!("unlink {:?}", SharedMemory::unlink(&arguments[0]).err().and_then(errno)))?;
    say(format_args!(
        "descriptor {:?}",
        OpenOptions::new().read(true).open(&arguments[1]).err().and_then(|e| e.raw_os_error())
    ))?;
    let removed = ipc_shm::remove_stale(&arguments[0])?;
    say(format_args!("removed {}", removed.len()))
}

/// `forker NAME`: forks, and the child tries and drops the parent's handles.
fn forker(arguments: &[String]) -> Result {
    let named = SharedMemory::create(&arguments[0], 64)?;
    let sealed = SharedMemory::<Sealed>::anonymous(64)?;
    let handed: OwnedFd = sealed.share()?;
    named.write(0, &7_u64)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "a single-threaded peer; the child only tries handles and exits"
    )]
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let forked = [
            matches!(named.read::<u64>(0), Err(Error::Forked)),
            matches!(named.write(0, &8_u64), Err(Error::Forked)),
            matches!(named.share(), Err(Error::Forked)),
            matches!(sealed.write(0, &8_u64), Err(Error::Forked)),
            matches!(sealed.owner_is_alive(), Err(Error::Forked)),
        ];
        drop((named, sealed));
        let attached = SharedMemory::<Sealed>::from_fd(handed, 1 << 20).is_ok();
        let reopened = SharedMemory::open(&arguments[0]).and_then(|memory| memory.read::<u64>(0));
        say(format_args!("child {forked:?} {attached} {:?}", reopened.ok()))?;
        std::process::exit(0);
    }
    nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child), None)?;
    say(format_args!(
        "parent {} {}",
        named.read::<u64>(0)?,
        Path::new("/dev/shm").join(&arguments[0]).exists()
    ))
}
