//! Handing descriptors to a child. Between fork and exec they are put where the child expects them; nothing else of ours
//! is inherited. What the child does not close, the kernel closes at its end.

use std::collections::BTreeSet;
use std::os::fd::{OwnedFd, RawFd};
use std::process::Command;

use ipc_sys::inherit;

use crate::{Error, Result};

/// What std's [`Command`] lacks: descriptors for the child beyond standard input, output and error, which are
/// [`Stdio`](std::process::Stdio)'s.
///
/// std and ipc-signal have traits of this name for other things; where one meets them, `use ipc_pipe::CommandExt as _`.
pub trait CommandExt {
    /// fork, dup2, exec: children of this command hold these descriptors under these numbers, and nothing else from 3 on.
    ///
    /// The descriptors live as long as the command: drop it, or the readers of a pipe wait for its end of file. Until exec
    /// they are close-on-exec, so that no other thread's child gets one. What other libraries have left inheritable is not
    /// inherited, either. Call it once a command, with all descriptors.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: a number below 3, or twice the same | [`Error::Number`] |
    /// | EMFILE; EINVAL: a number not below RLIMIT_NOFILE | [`Error::System`] |
    ///
    /// The numbers that are free now are held until the command is dropped. Under one that was not, another thread may
    /// have opened a pipe or a socket by the time of spawn, which could be the one that std learns of a failed exec through:
    /// then spawn fails with EBUSY, and another try may succeed.
    ///
    /// # Examples
    /// ```
    /// use std::io::Read;
    /// use std::process::Command;
    ///
    /// use ipc_pipe::CommandExt;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut reader, writer) = ipc_pipe::pipe()?;
    /// let mut shell = Command::new("sh");
    /// shell.args(["-c", "echo hello >&7"]).hand([(7, writer)])?;
    /// let status = shell.status()?;
    /// drop(shell);
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text)?;
    /// assert!(status.success() && text == "hello\n");
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "dup2")]
    fn hand<T: Into<OwnedFd>>(
        &mut self,
        descriptors: impl IntoIterator<Item = (RawFd, T)>,
    ) -> Result<&mut Self>;
}

impl CommandExt for Command {
    fn hand<T: Into<OwnedFd>>(
        &mut self,
        descriptors: impl IntoIterator<Item = (RawFd, T)>,
    ) -> Result<&mut Self> {
        let descriptors: Vec<_> = descriptors.into_iter().map(|(number, fd)| (number, fd.into())).collect();
        let mut numbers = BTreeSet::new();
        for &(number, _) in &descriptors {
            if number < 3 {
                return Err(Error::Number { number, reason: "0, 1 and 2 are Stdio's" });
            }
            if !numbers.insert(number) {
                return Err(Error::Number { number, reason: "it is given twice" });
            }
        }
        match inherit::hand(self, descriptors) {
            Ok(()) => Ok(self),
            Err(error) => Err(Error::of_pipe("fcntl(F_DUPFD_CLOEXEC)", error)),
        }
    }
}
