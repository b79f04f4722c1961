//! Roles that share a pipe with others, and one that forks.
#![expect(unsafe_code, reason = "fork")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use ipc_pipe::{Error, Fifo, FifoOptions, pipe};
use ipc_testkit::role::{Result, hear, say};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::ForkResult;

/// PATH FIRST COUNT: the numbers from FIRST on, eight bytes each.
pub(crate) fn numbers_writer(arguments: &[String]) -> Result {
    let (first, count): (u64, u64) = (arguments[1].parse()?, arguments[2].parse()?);
    let writer = Fifo::open(&arguments[0])?.writer()?;
    say("ready")?;
    hear()?;
    for number in first..first + count {
        writer.write_atomic(&number.to_le_bytes())?;
    }
    Ok(())
}

/// PATH: how many numbers it got before the end, and their sum.
pub(crate) fn numbers_reader(arguments: &[String]) -> Result {
    let mut reader = Fifo::open(&arguments[0])?.reader()?;
    say("ready")?;
    let (mut count, mut sum, mut number) = (0_u64, 0_u64, [0; 8]);
    // Every write is eight bytes and so is every read: no number is ever cut.
    while reader.read(&mut number)? == 8 {
        count += 1;
        sum += u64::from_le_bytes(number);
    }
    say(format_args!("{count} {sum}"))
}

/// DIRECTORY: mode, owner and group of FIFOs, with and without umask and set-group-id.
pub(crate) fn modes(arguments: &[String]) -> Result {
    let directory = Path::new(&arguments[0]);
    let made = |name: &str, mode: u32| -> Result<(u32, u32)> {
        FifoOptions::new().mode(mode).create(directory.join(name))?;
        let found = fs::symlink_metadata(directory.join(name))?;
        assert_eq!(found.uid(), nix::unistd::geteuid().as_raw());
        Ok((found.mode() & 0o7777, found.gid()))
    };
    let group = nix::unistd::getegid().as_raw();
    umask(Mode::from_bits_truncate(0o022));
    assert_eq!(made("masked", 0o666)?, (0o644, group));
    umask(Mode::empty());
    assert_eq!(made("all", 0o666)?, (0o666, group));
    assert_eq!(made("none", 0)?, (0, group));
    assert_eq!(fs::symlink_metadata(Fifo::create(directory.join("default"))?.path())?.mode() & 0o7777, 0o600);
    if nix::unistd::geteuid().is_root() {
        nix::unistd::chown(directory, None, Some(nix::unistd::Gid::from_raw(65534)))?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o2755))?;
        assert_eq!(made("sgid", 0o640)?, (0o640, 65534));
    }
    say("as the kernel says")
}

/// How many pipes there are under a limit of 64 descriptors, and how many descriptors were open before.
pub(crate) fn count_pipes(_: &[String]) -> Result {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard)?;
    let before = ipc_testkit::audit::descriptors(None).range(..64).count();
    let mut pipes = Vec::new();
    let refused = loop {
        match pipe() {
            Ok(ends) => pipes.push(ends),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.errno(), Some(libc::EMFILE));
    say(format_args!("{} {before}", pipes.len()))
}

/// PATH: what a forked child without exec does with our handles harms nobody.
#[expect(clippy::disallowed_methods, reason = "a peer of one thread, which is here to fork")]
pub(crate) fn forks(arguments: &[String]) -> Result {
    let guard = Fifo::create(&arguments[0])?.unlink_on_drop();
    let (mut reader, writer) = pipe()?;
    let waiting = guard.keep_alive_reader()?;
    // SAFETY: this process has one thread.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => {
            // It uses all of them, drops all of them, and ends without exec.
            let done = writer.write_atomic(b"child").is_ok()
                && guard.writer().and_then(|writer| writer.write_atomic(b"x")).is_ok()
                && matches!(reader.try_read(&mut [0; 1]), Ok(1));
            drop((guard, reader, writer, waiting));
            std::process::exit(i32::from(!done));
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None)?, WaitStatus::Exited(child, 0));
        }
    }
    assert!(Path::new(&arguments[0]).exists(), "the child has removed our FIFO");
    assert_eq!(waiting.try_read(&mut [0; 8])?, 1);
    assert!(
        matches!(reader.try_read(&mut [0; 2]), Ok(2)),
        "what the child has read is gone, the rest is here"
    );
    writer.write_atomic(b"parent")?;
    drop(writer);
    let mut rest = String::new();
    reader.read_to_string(&mut rest)?;
    assert_eq!(rest, "ldparent", "the end of file came: the child's copy of the writer is closed");
    assert!(matches!(waiting.try_read(&mut [0]), Err(Error::Empty)));
    drop(guard);
    assert!(!Path::new(&arguments[0]).exists());
    say("unharmed")
}

/// PATH: as the first process of a pid namespace, whose child is the first of another one, and drops its copy of the guard. Says
/// whether the FIFO is still there.
#[expect(clippy::disallowed_methods, reason = "a peer of one thread, which is here to fork")]
pub(crate) fn first_forks(arguments: &[String]) -> Result {
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWPID)?;
    // SAFETY: this process has one thread.
    if let ForkResult::Parent { child } = unsafe { nix::unistd::fork() }? {
        waitpid(child, None)?;
        return Ok(());
    }
    let guard = Fifo::create(&arguments[0])?.unlink_on_drop();
    unshare(CloneFlags::CLONE_NEWPID)?;
    // SAFETY: this process has one thread.
    if let ForkResult::Parent { child } = unsafe { nix::unistd::fork() }? {
        waitpid(child, None)?;
        say(Path::new(&arguments[0]).exists())?;
    }
    drop(guard);
    std::process::exit(0)
}
