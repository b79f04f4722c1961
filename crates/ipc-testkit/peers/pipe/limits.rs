//! Roles that run out of something.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use ipc_pipe::{CommandExt, Error, Fifo, Pages, PipeEnd, PipeOptions, copy, pipe};
use ipc_testkit::audit::Audit;
use ipc_testkit::refuse;
use ipc_testkit::role::{Result, say};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What an operation came to under a limit: done, or this errno.
fn outcome<T>(result: ipc_pipe::Result<T>) -> Option<i32> {
    match result {
        Ok(_) => None,
        Err(Error::PermissionDenied { source, .. } | Error::System { source, .. }) => {
            Some(source.raw_os_error().unwrap())
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// DIRECTORY: every call that makes a descriptor, under each RLIMIT_NOFILE from 3 to 16; says how often there were too
/// few.
pub(crate) fn few_descriptors(arguments: &[String]) -> Result {
    let directory = std::path::Path::new(&arguments[0]);
    let fifo = Fifo::create(directory.join("fifo"))?;
    let (reader, writer) = pipe()?;
    let (from, to) = (File::open("/proc/self/status")?, File::options().write(true).open("/dev/null")?);
    let soon = Duration::from_millis(1);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let mut refused = 0;
    for limit in 3..=16 {
        let audit = Audit::begin();
        let spare = to.try_clone()?;
        setrlimit(Resource::RLIMIT_NOFILE, limit, hard)?;
        let outcomes = [
            outcome(pipe()),
            outcome(PipeOptions::new().capacity(8192).create()),
            outcome(PipeOptions::new().packets()),
            outcome(reader.try_clone()),
            outcome(writer.try_clone()),
            outcome(Fifo::open(fifo.path())),
            outcome(Fifo::create(directory.join(limit.to_string()))),
            outcome(fifo.try_reader()),
            outcome(fifo.keep_alive_reader()),
            outcome(fifo.keep_alive_reader().and_then(|_alive| fifo.writer_timeout(soon))),
            outcome(copy(&from, &to)),
            // The number itself may be beyond the limit: EINVAL.
            outcome(Command::new("true").hand([(9, spare)]).map(drop)),
            match fifo.reader_timeout(soon) {
                Err(Error::TimedOut { .. }) => None,
                other => outcome(other),
            },
        ];
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        audit.end();
        assert!(
            outcomes.iter().flatten().all(|errno| [libc::EMFILE, libc::EINVAL].contains(errno)),
            "{outcomes:?}"
        );
        refused += outcomes.iter().flatten().count();
    }
    drop((reader, writer));
    say(refused)
}

/// ERRNO: what a failed pipe2 looks like.
pub(crate) fn refused_pipe(arguments: &[String]) -> Result {
    let errno = arguments[0].parse()?;
    let (from, to) = (File::open("/proc/self/status")?, File::options().write(true).open("/dev/null")?);
    let audit = Audit::begin();
    refuse::call(libc::SYS_pipe2, errno)?;
    assert_eq!(outcome(pipe()), Some(errno));
    assert_eq!(outcome(PipeOptions::new().packets()), Some(errno));
    assert_eq!(outcome(copy(&from, &to)), Some(errno));
    audit.end();
    let error = pipe().unwrap_err();
    say(format_args!("{error}: {}", std::error::Error::source(&error).unwrap()))
}

/// DIRECTORY: what a file system whose quota is used up, and a user whose inotify watches are, look like.
pub(crate) fn refused_fifo(arguments: &[String]) -> Result {
    let path = |name: &str| std::path::Path::new(&arguments[0]).join(name);
    let fifo = Fifo::create(path("fifo"))?;
    let soon = Duration::from_millis(1);
    let audit = Audit::begin();
    refuse::call(libc::SYS_mknodat, libc::EDQUOT)?;
    assert_eq!(outcome(Fifo::create(path("more"))), Some(libc::EDQUOT));
    assert_eq!(outcome(Fifo::open_or_create(path("more"))), Some(libc::EDQUOT));
    refuse::call(libc::SYS_inotify_add_watch, libc::ENOSPC)?;
    assert_eq!(outcome(fifo.reader_timeout(soon)), Some(libc::ENOSPC));
    refuse::call(libc::SYS_inotify_init1, libc::EMFILE)?;
    assert_eq!(outcome(fifo.reader_timeout(soon)), Some(libc::EMFILE));
    audit.end();
    say("refused")
}

/// DIRECTORY: a FIFO where /proc is not mounted.
pub(crate) fn without_proc(arguments: &[String]) -> Result {
    let fifo = Fifo::create(std::path::Path::new(&arguments[0]).join("fifo"))?;
    let soon = Duration::from_millis(1);
    refuse::tmpfs("/proc", "")?;
    for outcome in [
        outcome(fifo.reader()),
        outcome(fifo.try_reader()),
        outcome(fifo.reader_timeout(soon)),
        outcome(fifo.keep_alive_reader()),
        outcome(fifo.writer()),
        outcome(fifo.try_writer()),
        outcome(fifo.writer_timeout(soon)),
    ] {
        assert_eq!(outcome, Some(libc::ENOENT));
    }
    say("refused")
}

/// More capacity than an unprivileged process may have.
pub(crate) fn unprivileged(_: &[String]) -> Result {
    let max: usize = std::fs::read_to_string("/proc/sys/fs/pipe-max-size")?.trim().parse()?;
    refuse::become_user(65534)?;
    let (reader, writer) = pipe()?;
    assert_eq!(writer.set_capacity(max)?, max.next_power_of_two());
    let refused = |result: ipc_pipe::Result<()>| matches!(result, Err(Error::CapacityDenied { wanted }) if wanted == max + 1);
    assert!(refused(writer.set_capacity(max + 1).map(drop)));
    assert!(refused(reader.set_capacity(max + 1).map(drop)));
    let audit = Audit::begin();
    assert!(refused(PipeOptions::new().capacity(max + 1).create().map(drop)));
    audit.end();
    assert_eq!(Pages::new(4096)?.len(), 4096);
    say("refused")
}

/// USER: beyond the user's pipe-user-pages-soft: says the capacities of the first and the last pipe.
pub(crate) fn pages_soft(arguments: &[String]) -> Result {
    let soft: usize = std::fs::read_to_string("/proc/sys/fs/pipe-user-pages-soft")?.trim().parse()?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let count = soft / 16 + 10;
    let wanted = u64::try_from(2 * count + 100)?;
    if soft == 0 || hard < wanted || !refuse::become_user(arguments[0].parse()?)? {
        return say(format_args!("no: soft {soft}, {hard} descriptors, or not root"));
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    let pipes: std::result::Result<Vec<_>, _> = (0..count).map(|_| pipe()).collect();
    let pipes = pipes?;
    let capacity = |at: usize| pipes[at].1.capacity();
    let (first, last) = (capacity(0)?, capacity(count - 1)?);
    assert!(matches!(
        pipes[count - 1].1.set_capacity(1 << 16),
        Err(Error::CapacityDenied { wanted: 65_536 })
    ));
    pipes[count - 1].1.write_atomic(&[0; 4096])?;
    say(format_args!("{first} {last}"))
}
