//! A second process under the test's control. It is killed and reaped when the handle is dropped, and shown (command,
//! exit status, standard error) when the test fails meanwhile.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use ipc_sys::{Deadline, poll};

use crate::{WATCHDOG, until};

/// A running role of one of the programs in `peers/`.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    shown: String,
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// What has been read of the output beyond the last whole line given out.
    ahead: Vec<u8>,
    errors: File,
    status: Option<ExitStatus>,
    patience: Duration,
}

/// Starts a role of a program of this package: `peer!("peer-pipe", "writer", path, 17)`.
#[macro_export]
macro_rules! peer {
    ($($command:tt)*) => { $crate::Peer::start(&mut $crate::command!($($command)*)) };
}

/// The command that [`peer!`] starts, for tests that change something about it first.
#[macro_export]
macro_rules! command {
    ($program:literal, $role:expr $(, $argument:expr)* $(,)?) => {{
        let mut command = ::std::process::Command::new(env!(concat!("CARGO_BIN_EXE_", $program)));
        command.arg($role);
        $(command.arg(::std::string::ToString::to_string(&$argument));)*
        command
    }};
}

impl Peer {
    /// Starts `command` with pipes for standard input and output; prefer [`peer!`].
    pub fn start(command: &mut Command) -> Self {
        let errors = memory_file();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take();
        let output = child.stdout.take().unwrap();
        Self {
            shown: format!("{command:?}"),
            child,
            input,
            output,
            ahead: Vec::new(),
            errors,
            status: None,
            patience: WATCHDOG,
        }
    }

    /// How long this peer may take for one answer, in seconds, if that is longer than [`WATCHDOG`]: for roles that do a lot
    /// before they say something.
    pub fn patience(&mut self, seconds: u64) {
        self.patience = WATCHDOG.max(Duration::from_secs(seconds));
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of output, without its end; `None` at the end of output.
    ///
    /// # Panics
    /// When none comes within [`WATCHDOG`], or what [`Peer::patience`] says.
    pub fn next_line(&mut self) -> Option<String> {
        let deadline = Deadline::after(self.patience);
        loop {
            if let Some(end) = self.ahead.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let ready = poll::wait(self.output.as_fd(), libc::POLLIN, deadline).unwrap();
            assert!(ready.is_some(), "no line came within {:?}", self.patience);
            let mut chunk = [0; 4096];
            match self.output.read(&mut chunk).unwrap() {
                0 if self.ahead.is_empty() => return None,
                0 => return Some(String::from_utf8_lossy(&std::mem::take(&mut self.ahead)).into_owned()),
                len => self.ahead.extend_from_slice(&chunk[..len]),
            }
        }
    }

    /// The next line, which must come.
    pub fn hear(&mut self) -> String {
        self.next_line().expect("the peer ended its output")
    }

    /// Waits for exactly this line: a handshake.
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.next_line().as_deref(), Some(line));
    }

    /// Sends the peer one line.
    pub fn tell(&mut self, line: impl std::fmt::Display) {
        let input = self.input.as_mut().expect("the peer's input is closed");
        writeln!(input, "{line}").unwrap();
    }

    /// Closes the peer's standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits until the peer's main thread sleeps in this system call (`libc::SYS_semtimedop`), which no event tells:
    /// /proc/PID/syscall does.
    pub fn until_asleep_in(&self, syscall: libc::c_long) {
        let id = self.id();
        self.until_thread_asleep_in(id, syscall);
    }

    /// As [`Peer::until_asleep_in`], of the thread with this id.
    pub fn until_thread_asleep_in(&self, thread: u32, syscall: libc::c_long) {
        let path = format!("/proc/{}/task/{thread}/syscall", self.id());
        let number = syscall.to_string();
        until(&format!("sleep in system call {number} ({path})"), || {
            fs::read_to_string(&path).is_ok_and(|text| text.split(' ').next() == Some(number.as_str()))
        });
    }

    /// SIGKILL, and reaps it.
    pub fn kill(&mut self) {
        if self.status.is_none() {
            self.child.kill().unwrap();
            let status = self.child.wait().unwrap();
            self.status = Some(status);
        }
    }

    /// Waits for the end and gives the exit status.
    ///
    /// # Panics
    /// When it does not come within [`WATCHDOG`].
    pub fn wait(&mut self) -> ExitStatus {
        self.input = None;
        if self.status.is_none() {
            let child = &mut self.child;
            let status = &mut self.status;
            until("the peer's end", || {
                *status = child.try_wait().unwrap();
                status.is_some()
            });
        }
        self.status.unwrap()
    }

    /// Waits for an end with status 0.
    pub fn finish(mut self) {
        let status = self.wait();
        assert!(status.success(), "the peer ended with {status}");
    }

    /// Everything that it has written to standard error so far.
    pub fn errors(&mut self) -> String {
        let mut text = Vec::new();
        self.errors.rewind().unwrap();
        self.errors.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
        if std::thread::panicking() {
            let ended = self.status.map_or("?".to_owned(), |status| match status.signal() {
                Some(signal) => format!("signal {signal}"),
                None => status.to_string(),
            });
            let errors = self.errors();
            eprintln!("peer {} ({ended})\n{errors}", self.shown);
        }
    }
}

/// A file in memory that the peer appends its standard error to.
fn memory_file() -> File {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let file = File::from(memfd_create(c"stderr", MFdFlags::MFD_CLOEXEC).unwrap());
    let flags = nix::fcntl::OFlag::O_APPEND;
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(flags)).unwrap();
    file
}
