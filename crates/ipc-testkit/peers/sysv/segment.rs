//! Processes that have a segment attached.
#![expect(unsafe_code, reason = "fork")]

use ipc_sysv::{Error, Segment, SemaphoreSet};
use ipc_testkit::crash;
use ipc_testkit::role::{Result, hear, say};

use super::argument;

/// Attaches a segment as often as it is told to, and stays.
pub(crate) fn attach(arguments: &[String]) -> Result {
    let segment = Segment::from_id(argument(arguments, 0)?)?;
    let times: usize = argument(arguments, 1)?;
    let mut attached = (0..times).map(|_| segment.attach()).collect::<ipc_sysv::Result<Vec<_>>>()?;
    say("attached")?;
    while hear().is_ok() {
        attached.pop();
        say("detached")?;
    }
    Ok(())
}

/// Attaches each segment whose id it hears.
pub(crate) fn attach_what_it_hears(_: &[String]) -> Result {
    let mut attached = Vec::new();
    while let Ok(id) = hear() {
        attached.push(Segment::from_id(id.parse()?)?.attach()?);
        say("attached")?;
    }
    Ok(())
}

/// Attaches a segment, forks a child that inherits it, and, told so, a child that execs.
#[expect(clippy::disallowed_methods, reason = "this peer has one thread")]
pub(crate) fn attach_and_fork(arguments: &[String]) -> Result {
    let segment = Segment::from_id(argument(arguments, 0)?)?;
    let _attached = segment.attach()?;
    say("attached")?;
    hear()?;
    // SAFETY: the only thread, so the child may do what it likes.
    let child = unsafe { nix::unistd::fork()? };
    let nix::unistd::ForkResult::Parent { child } = child else {
        // The child lives until it is killed; it inherits the attachment.
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        loop {
            nix::unistd::pause();
        }
    };
    say("forked")?;
    hear()?;
    nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL)?;
    nix::sys::wait::waitpid(child, None)?;
    say("reaped")?;
    hear()?;
    // exec gives up what was attached.
    let mut shell = std::process::Command::new("sh");
    let error = std::os::unix::process::CommandExt::exec(shell.args(["-c", "echo executed; read end; true"]));
    Err(error.into())
}

/// Uses a segment in every way until it is removed, and drops all handles.
pub(crate) fn use_segment(arguments: &[String]) -> Result {
    let segment = Segment::from_id(argument(arguments, 0)?)?;
    let owned = ipc_sysv::RemoveOnDrop::new(segment.clone());
    let kept = segment.attach()?;
    say("ready")?;
    for turn in 0_u64.. {
        let done = segment.attach().and_then(|memory| memory.write_value(0, &turn));
        let done = done.and_then(|()| segment.stat()).map(|stat| stat.is_removed);
        match done {
            Ok(false) => {}
            // Removed while attached: it lives on for us.
            Ok(true) => break,
            Err(Error::Removed { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    kept.write_value(0, &1_u64)?;
    assert!(segment.verify().unwrap_err().is_removed());
    drop((kept, owned));
    say("removed")
}

/// Makes or recovers the segment of a file, between marks.
pub(crate) fn recover(arguments: &[String]) -> Result {
    let file = ipc_sysv::KeyFile::open(argument::<String>(arguments, 0)?, b'r')?;
    let magic = argument(arguments, 1)?;
    crash::begin();
    let recovered = Segment::recover(&file, magic, 100)?;
    crash::end();
    say(format_args!("{:?}", recovered.1))?;
    // Until the test closes our input.
    let _ = hear();
    Ok(())
}

/// Makes a segment and says its id.
pub(crate) fn create_segment(arguments: &[String]) -> Result {
    say(Segment::create(argument(arguments, 0)?, 8192)?.id())
}

/// Reads a number, writes it one higher, so many times; each time with a permit, where a set is given.
pub(crate) fn increment(arguments: &[String]) -> Result {
    let memory = Segment::from_id(argument(arguments, 0)?)?.attach()?;
    let times: u32 = argument(arguments, 1)?;
    let set = match arguments.get(2) {
        Some(id) => Some(SemaphoreSet::from_id(id.parse()?)?.semaphore(0)?),
        None => None,
    };
    say("ready")?;
    hear()?;
    for _ in 0..times {
        let _permit = set.as_ref().map(ipc_sysv::Semaphore::acquire).transpose()?;
        let number: u64 = memory.read_value(0)?;
        // Each yield costs a turn of everybody on a loaded machine.
        if number.is_multiple_of(8) {
            std::thread::yield_now();
        }
        memory.write_value(0, &(number + 1))?;
    }
    say("done")
}
