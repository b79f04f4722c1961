//! pipe2(2): a new anonymous pipe. It exists for as long as somebody holds one of its ends.

use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;

use crate::{Error, PacketReader, PacketWriter, PipeEnd, PipeReader, PipeWriter, Result};

/// pipe2(O_CLOEXEC): a new pipe with the kernel's defaults.
///
/// # Errors
/// | errno | variant |
/// | --- | --- |
/// | EMFILE: RLIMIT_NOFILE is reached; ENFILE: the system's limit, or the user's pipe-user-pages-hard | [`Error::System`] |
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut reader, mut writer) = ipc_pipe::pipe()?;
/// writer.write_all(b"hello")?;
/// drop(writer);
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok(())
/// # }
/// ```
pub fn pipe() -> Result<(PipeReader, PipeWriter)> {
    PipeOptions::new().create()
}

/// How a new pipe shall be, beyond the defaults.
#[derive(Debug, Clone, Default)]
pub struct PipeOptions {
    capacity: Option<usize>,
    nonblocking: bool,
}

impl PipeOptions {
    /// The kernel's defaults: 65,536 bytes, waiting.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for at least `bytes` (F_SETPIPE_SZ): [`PipeEnd::capacity`] tells what was obtained.
    #[must_use]
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// O_NONBLOCK on both ends: `Read` and `Write` give `WouldBlock` instead of waiting.
    #[doc(alias = "O_NONBLOCK")]
    #[must_use]
    pub fn nonblocking(mut self, on: bool) -> Self {
        self.nonblocking = on;
        self
    }

    /// pipe2: makes the pipe.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EMFILE, ENFILE | [`Error::System`] |
    /// | EPERM: more capacity than the user may have | [`Error::CapacityDenied`] |
    /// | EINVAL: a capacity of 2 GiB or more; ENOMEM | [`Error::System`] |
    ///
    /// # Examples
    /// ```
    /// use ipc_pipe::{PipeEnd, PipeOptions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (_reader, writer) = PipeOptions::new().capacity(100_000).create()?;
    /// assert_eq!(writer.capacity()?, 131_072);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "pipe2")]
    pub fn create(&self) -> Result<(PipeReader, PipeWriter)> {
        self.create_with(OFlag::empty())
    }

    /// pipe2(O_DIRECT): makes a pipe in packet mode, where one read takes what one write sent.
    ///
    /// # Errors
    /// As [`PipeOptions::create`]; EINVAL, [`Error::System`], where the kernel has no packet mode.
    #[doc(alias = "O_DIRECT")]
    pub fn packets(&self) -> Result<(PacketReader, PacketWriter)> {
        let (reader, writer) = self.create_with(OFlag::O_DIRECT)?;
        Ok((OwnedFd::from(reader).into(), PacketWriter::new(writer.into())))
    }

    fn create_with(&self, flags: OFlag) -> Result<(PipeReader, PipeWriter)> {
        let mut flags = flags | OFlag::O_CLOEXEC;
        flags.set(OFlag::O_NONBLOCK, self.nonblocking);
        let ends = nix::unistd::pipe2(flags).map_err(|errno| Error::of_pipe("pipe2", errno.into()))?;
        let (reader, writer) = (PipeReader::from(ends.0), PipeWriter::from(ends.1));
        if let Some(bytes) = self.capacity {
            writer.set_capacity(bytes)?;
        }
        Ok((reader, writer))
    }
}
