//! Another user, who was there first.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use ipc_pipe::{Error, Fifo, FifoOptions};
use ipc_testkit::refuse;
use ipc_testkit::role::{Result, hear, say};
use nix::mount::{MsFlags, mount};

/// DIRECTORY TARGET: puts one of each kind there, as nobody.
pub(crate) fn plants(arguments: &[String]) -> Result {
    let path = |name: &str| Path::new(&arguments[0]).join(name);
    refuse::become_user(65534)?;
    symlink(&arguments[1], path("symlink"))?;
    fs::write(path("file"), "theirs")?;
    let _fifo = Fifo::create(path("fifo"))?;
    fs::set_permissions(path("fifo"), fs::Permissions::from_mode(0o666))?;
    fs::create_dir(path("directory"))?;
    let _socket = UnixListener::bind(path("socket"))?;
    say("planted")?;
    hear()?;
    // Nobody has opened it.
    let fifo = Fifo::open(path("fifo"))?;
    say(matches!(fifo.try_writer(), Err(Error::NoReader { .. })))
}

/// PATH: what a stranger may do with a FIFO of root's, mode 0600, in a sticky directory: nothing.
pub(crate) fn stranger(arguments: &[String]) -> Result {
    let fifo = Fifo::open(&arguments[0])?;
    let held = (fifo.keep_alive_reader()?, fifo.writer()?);
    refuse::become_user(65534)?;
    let errno = |error| match error {
        Error::PermissionDenied { source, .. } => source.raw_os_error(),
        other => panic!("{other:?}"),
    };
    // What was opened before stays open, but a call that does not wait would have to open it once more.
    held.1.write_atomic(b"x")?;
    assert_eq!(errno(held.0.try_read(&mut [0]).unwrap_err()), Some(libc::EACCES));
    assert_eq!(errno(held.1.try_write(b"x").unwrap_err()), Some(libc::EACCES));
    drop(held);
    // To look at it is no crime, nor that it is root's; to open it is.
    let fifo = Fifo::open(&arguments[0])?;
    for refused in [fifo.reader().map(drop), fifo.try_reader().map(drop), fifo.keep_alive_reader().map(drop)]
    {
        assert_eq!(errno(refused.unwrap_err()), Some(libc::EACCES));
    }
    for refused in [fifo.writer().map(drop), fifo.try_writer().map(drop)] {
        assert_eq!(errno(refused.unwrap_err()), Some(libc::EACCES));
    }
    assert_eq!(errno(fifo.unlink().unwrap_err()), Some(libc::EPERM));
    let closed = Path::new(&arguments[1]);
    assert_eq!(errno(Fifo::create(closed.join("x")).unwrap_err()), Some(libc::EACCES));
    assert_eq!(errno(Fifo::open(closed.join("x")).unwrap_err()), Some(libc::EACCES));
    // One that lets us write but not read: the wait for a reader could not be ended.
    let fifo = Fifo::open(&arguments[2])?;
    let soon = std::time::Duration::from_millis(1);
    assert_eq!(errno(fifo.writer_timeout(soon).unwrap_err()), Some(libc::EACCES));
    say("kept out")
}

/// DIRECTORY: a file system without room, then one that is read-only.
pub(crate) fn full_and_read_only(arguments: &[String]) -> Result {
    let place = arguments[0].as_str();
    let path = |name: &str| Path::new(place).join(name);
    refuse::tmpfs(place, "nr_inodes=3")?;
    let errno = |error| match error {
        Error::System { source, .. } => source.raw_os_error(),
        other => panic!("{other:?}"),
    };
    let fifos = [Fifo::create(path("one"))?, Fifo::create(path("two"))?];
    assert_eq!(errno(Fifo::create(path("three")).unwrap_err()), Some(libc::ENOSPC));
    assert!(!path("three").exists());
    mount(None::<&str>, place, None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None::<&str>)?;
    assert_eq!(errno(Fifo::create(path("three")).unwrap_err()), Some(libc::EROFS));
    assert_eq!(errno(fifos[0].unlink().unwrap_err()), Some(libc::EROFS));
    let refused = FifoOptions::new().open_or_create(path("three"));
    assert_eq!(errno(refused.unwrap_err()), Some(libc::EROFS));
    say("refused")
}
