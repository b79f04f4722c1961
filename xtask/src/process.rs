//! A child in a process group of its own. It is reaped here and whoever is left in its group is killed by the group's
//! id, so that nothing outlives a task.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::{Result, interrupt, processes};

/// How long the others of a group may take to follow their leader: one that dies with it is no survivor.
const GRACE: Duration = Duration::from_millis(500);

/// Starts `command` as the leader of a new process group. Reap it with [`reap`].
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    interrupt::enter(|| {
        let child = command.process_group(0).spawn()?;
        Ok((group(&child), child))
    })
    .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", shown(command))))
}

/// Waits for the end of the leader and kills whoever is left of its group; says whether somebody was. Until all is done
/// the leader stays unreaped, so that the group's id is nobody else's.
pub(crate) fn reap(child: &mut Child) -> io::Result<(ExitStatus, bool)> {
    let group = group(child);
    while waitid(Id::Pid(Pid::from_raw(group)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
        == Err(Errno::EINTR)
    {}
    let empty = || !processes::all().any(|process| process.group == group && process.alive());
    let left = !processes::until(GRACE, empty);
    if left {
        interrupt::send(group, Signal::SIGKILL);
    }
    interrupt::leave(group);
    Ok((child.wait()?, left))
}

/// The process group that [`spawn`] has made for it.
pub(crate) fn group(child: &Child) -> i32 {
    child.id().cast_signed()
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The end of a process as a sentence has it.
pub(crate) fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => {
            let name = Signal::try_from(signal).map_or_else(|_| signal.to_string(), |name| name.to_string());
            format!("killed by {name}")
        }
        (None, None) => status.to_string(),
    }
}

/// A command that has run to its end or to its deadline.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) command: String,
    /// The leader's process id.
    pub(crate) id: u32,
    /// `None`: it was killed at its deadline.
    pub(crate) status: Option<ExitStatus>,
    /// Whether somebody of its process group was still there after its end.
    pub(crate) survivors: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ran {
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Command, end and both streams: what one wants to see of a failure.
    pub(crate) fn account(&self) -> String {
        let end = self.status.map_or_else(|| format!("killed after {:.1?}", self.took), ending);
        let mut text = format!("$ {}\n{end}\n", self.command);
        // Of a test binary what the good tests have printed is not worth reading now.
        let stdout = self.stdout.find("\nfailures:\n").and_then(|at| self.stdout.get(at + 1..));
        let stdout = stdout.unwrap_or(&self.stdout);
        for (name, stream) in [("standard output", stdout), ("standard error", &self.stderr)] {
            if !stream.trim().is_empty() {
                text.push_str(&format!("--- {name}\n{}\n", stream.trim_end()));
            }
        }
        text
    }
}

/// Runs `command` with both streams in files of their own in memory (a pipe would hang when somebody keeps it open) and
/// kills its group at the deadline. Standard input is empty unless the caller has set it.
pub(crate) fn run(command: &mut Command, deadline: Duration) -> Result<Ran> {
    let (out, err) = (memory_file()?, memory_file()?);
    let start = Instant::now();
    command.stdout(out.try_clone()?).stderr(err.try_clone()?);
    let mut child = spawn(command)?;
    let (id, group) = (child.id(), group(&child));
    let (ended, end) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let reaped = reap(&mut child);
        let _ = ended.send(());
        reaped
    });
    let in_time = end.recv_timeout(deadline).is_ok();
    if !in_time {
        interrupt::send(group, Signal::SIGKILL);
    }
    let (status, survivors) = waiter.join().map_err(|_| "the waiting thread has panicked")??;
    Ok(Ran {
        command: shown(command),
        id,
        status: in_time.then_some(status),
        survivors: in_time && survivors,
        stdout: content(&out)?,
        stderr: content(&err)?,
        took: start.elapsed(),
    })
}

fn memory_file() -> Result<File> {
    Ok(File::from(memfd_create(c"stream", MFdFlags::MFD_CLOEXEC)?))
}

fn content(file: &File) -> io::Result<String> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where `program` is in PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// A command with nothing on standard input.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_status_are_kept_apart() {
        let ran = run(command("sh").args(["-c", "echo out; echo err >&2; exit 3"]), Duration::from_secs(60));
        let ran = ran.unwrap();
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(ran.status.unwrap().code(), Some(3));
        assert!(!ran.survivors);
    }

    #[test]
    fn the_deadline_ends_the_whole_group() {
        let ran = run(command("sh").args(["-c", "sleep 60 & wait"]), Duration::from_millis(50)).unwrap();
        assert!(ran.status.is_none() && !ran.succeeded());
        assert!(ran.account().contains("killed after"));
    }

    #[test]
    fn who_outlives_the_leader_is_seen() {
        let ran = run(command("sh").args(["-c", "sleep 60 & exit 0"]), Duration::from_secs(60)).unwrap();
        assert!(ran.survivors && ran.succeeded());
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(shown(Command::new("a").args(["b-c", "d e", "it's", ""])), r"a b-c 'd e' 'it'\''s' ''");
    }
}
