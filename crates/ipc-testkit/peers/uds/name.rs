//! Processes that want a path, have one, or watch one.
#![expect(unsafe_code, reason = "a child is forked raw")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ipc_testkit::role::{Result, Role, hear, say};
use ipc_uds::{BindOptions, Error, Listener, Stale, Stream};

use crate::become_nobody;

pub(crate) const ROLES: &[Role] = &[
    ("starter", starter),
    ("naive-starter", naive_starter),
    ("holder", holder),
    ("stranger", stranger),
    ("intruder", intruder),
    ("watched", watched),
    ("forker", forker),
    ("first-forker", first_forker),
    ("without-proc", without_proc),
];

fn listen(path: &str, stale: Stale) -> ipc_uds::Result<Listener> {
    BindOptions::new().stale(stale).listen(path)
}

/// `starter PATH`: at the instant that it hears, starts as a server of PATH; says whether it is one.
fn starter(arguments: &[String]) -> Result {
    start_at_each_instant(|| match listen(&arguments[0], Stale::Replace) {
        Ok(listener) => Ok(Some(listener)),
        Err(Error::AddressInUse { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    })
}

/// The usual sequence: unlink, then bind.
fn naive_starter(arguments: &[String]) -> Result {
    let path = &arguments[0];
    start_at_each_instant(|| {
        let _ = fs::remove_file(path);
        Ok(UnixListener::bind(path).ok())
    })
}

fn start_at_each_instant<T>(mut start: impl FnMut() -> Result<Option<T>>) -> Result {
    say("ready")?;
    while let Ok(instant) = hear() {
        let instant: i64 = instant.parse()?;
        while monotonic()? < instant {
            std::hint::spin_loop();
        }
        let server = start()?;
        say(if server.is_some() { "server" } else { "not" })?;
        hear()?;
        drop(server);
        say("ready")?;
    }
    Ok(())
}

fn monotonic() -> Result<i64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}

/// `holder PATH STALE`: serves PATH until it is killed.
fn holder(arguments: &[String]) -> Result {
    let stale = if arguments[1] == "replace" { Stale::Replace } else { Stale::Fail };
    match listen(&arguments[0], stale) {
        Ok(_listener) => {
            say("bound")?;
            hear().map(drop)
        }
        Err(error) => say(format!("{:?}", error.errno())),
    }
}

/// `stranger PATH KIND`: a server that knows nothing of lock files.
fn stranger(arguments: &[String]) -> Result {
    let [path, kind] = arguments else { return Err("stranger PATH KIND".into()) };
    match kind.as_str() {
        "listening" => {
            let listener = UnixListener::bind(path)?;
            say("bound")?;
            hear()?;
            // Whoever has asked whether we live must not have left a connection behind.
            listener.set_nonblocking(true)?;
            say(listener.accept().is_err())
        }
        "datagram" => {
            let _socket = UnixDatagram::bind(path)?;
            say("bound")?;
            hear()?;
            say(true)
        }
        // Bound, and not listening yet: between bind(2) and listen(2).
        _ => {
            use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
            let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
            bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &UnixAddr::new(path.as_str())?)?;
            say("bound")?;
            hear()?;
            say(true)
        }
    }
}

/// `first-forker PATH`: as the first process of a pid namespace, whose child is the first of another one; says as `forker` does.
#[expect(clippy::disallowed_methods, reason = "this peer has one thread")]
fn first_forker(arguments: &[String]) -> Result {
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWPID)?;
    // SAFETY: this process has one thread, so that no lock is held for ever in the child.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => {
            let done = forker_of(&arguments[0], || Ok(unshare(CloneFlags::CLONE_NEWPID)?));
            std::process::exit(i32::from(done.is_err()));
        }
        nix::unistd::ForkResult::Parent { child } => {
            nix::sys::wait::waitpid(child, None)?;
            Ok(())
        }
    }
}

/// `forker PATH`: a forked child drops its copy of the listener; says whether the names are still there, and whether one
/// can connect.
fn forker(arguments: &[String]) -> Result {
    forker_of(&arguments[0], || Ok(()))
}

fn forker_of(path: &str, before_fork: impl FnOnce() -> Result) -> Result {
    let listener = listen(path, Stale::Replace)?;
    before_fork()?;
    #[expect(clippy::disallowed_methods, reason = "this peer has one thread")]
    // SAFETY: this process has one thread, so that no lock is held for ever in the child.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => {
            drop(listener);
            std::process::exit(0);
        }
        nix::unistd::ForkResult::Parent { child } => {
            nix::sys::wait::waitpid(child, None)?;
        }
    }
    say(fs::exists(path)? && fs::exists(format!("{path}.lock"))?)?;
    say(Stream::connect(path).is_ok())?;
    drop(listener);
    say(!fs::exists(path)? && !fs::exists(format!("{path}.lock"))?)
}

/// `intruder PATH`: nobody tries to connect.
fn intruder(arguments: &[String]) -> Result {
    become_nobody()?;
    match Stream::connect(&*arguments[0]) {
        Ok(_) => say("connected"),
        Err(Error::PermissionDenied { .. }) => say("denied"),
        Err(error) => say(error),
    }
}

/// `watched PATH SEEN HOW`: with a umask of 0, binds PATH again and again, `safe` or `naive` (bind, then chmod), for a second
/// or until a thread that looks at it has seen SEEN of the sockets; longer when it has not seen what must be seen, one at
/// all, and a naive one with permissions for others. Says how many it saw, and how many of them with such permissions.
fn watched(arguments: &[String]) -> Result {
    let (path, enough, naive) = (&arguments[0], arguments[1].parse::<u32>()?, arguments[2] == "naive");
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    let (done, open, seen) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|threads| -> Result {
        threads.spawn(|| {
            let mut last = None;
            while !done.load(Ordering::Relaxed) {
                let Ok(found) = fs::symlink_metadata(path) else { continue };
                // Numbers of inodes are given again at once, times are not.
                let this = Some((found.ino(), found.mtime(), found.mtime_nsec()));
                if this == last {
                    continue;
                }
                if found.mode() & 0o077 != 0 {
                    open.fetch_add(1, Ordering::Relaxed);
                }
                last = this;
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        let start = Instant::now();
        loop {
            let (seen, open) = (seen.load(Ordering::Relaxed), open.load(Ordering::Relaxed));
            let must_go_on = seen == 0 || (naive && open == 0);
            let may_go_on = seen < enough && start.elapsed() < Duration::from_secs(1);
            if !may_go_on && (!must_go_on || start.elapsed() > ipc_testkit::WATCHDOG / 2) {
                break;
            }
            if naive {
                let listener = UnixListener::bind(path)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
                fs::remove_file(path)?;
                drop(listener);
            } else {
                drop(listen(path, Stale::Fail)?);
            }
        }
        done.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    say(seen.load(Ordering::Relaxed))?;
    say(open.load(Ordering::Relaxed))
}

/// `without-proc SHORT LONG`: binds and connects where /proc is not mounted; a server of LONG is there already.
fn without_proc(arguments: &[String]) -> Result {
    ipc_testkit::refuse::tmpfs("/proc", "")?;
    let short: Listener = Listener::bind(&arguments[0])?;
    Stream::connect(&arguments[0])?;
    drop(short);
    let refused = [
        Stream::connect(&arguments[1]).err(),
        Listener::<Stream>::bind(format!("{}2", arguments[1])).err(),
        BindOptions::new().mode(0o666).listen::<Stream>(format!("{}2", arguments[0])).err(),
    ];
    for error in refused {
        say(format_args!("{:?}", error.and_then(|error| error.errno())))?;
    }
    Ok(())
}
