//! Each row of the `# Errors` tables that needs neither root nor a limit of the process; those that do are in the test
//! kit (A4, A6).
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ipc_pipe::{Error, Fifo, FifoOptions, PIPE_BUF, PipeEnd, PipeOptions, PipeReader, PipeWriter, pipe};

/// Both long enough to be waited for and short enough to wait.
const SOON: Duration = Duration::from_millis(5);

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ipc-pipe-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// errno of a failure that no variant stands for.
fn call<T: std::fmt::Debug>(result: ipc_pipe::Result<T>) -> i32 {
    match result.unwrap_err() {
        Error::System { source, .. } => source.raw_os_error().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn null() -> OwnedFd {
    File::options().read(true).write(true).open("/dev/null").unwrap().into()
}

#[test]
fn an_empty_pipe_is_not_the_end_of_file() {
    let (reader, writer) = pipe().unwrap();
    assert!(matches!(reader.try_read(&mut [0; 4]), Err(Error::Empty)));
    let start = Instant::now();
    assert!(matches!(reader.read_timeout(&mut [0; 4], SOON), Err(Error::TimedOut { operation: "read" })));
    assert!(start.elapsed() >= SOON);
    assert!(matches!(reader.read_timeout(&mut [0; 4], Duration::ZERO), Err(Error::TimedOut { .. })));
    drop(writer);
    assert_eq!(reader.try_read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(reader.read_timeout(&mut [0; 4], Duration::MAX).unwrap(), 0);
}

#[test]
fn bytes_come_before_the_end_of_file() {
    let (mut reader, mut writer) = pipe().unwrap();
    writer.write_all(b"left behind").unwrap();
    drop(writer);
    assert_eq!(reader.readable().unwrap(), 11);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), reader.try_read(&mut [0]).unwrap()), ("left behind", 0));
}

#[test]
fn a_full_pipe_is_told_from_a_timeout() {
    let (reader, writer) = PipeOptions::new().capacity(PIPE_BUF).create().unwrap();
    assert_eq!(writer.try_write(&[1; 10_000]).unwrap(), PIPE_BUF);
    assert!(matches!(writer.try_write(b"x"), Err(Error::Full)));
    assert!(matches!(writer.try_write_atomic(b"x"), Err(Error::Full)));
    let (start, timed_out) =
        (Instant::now(), |result| matches!(result, Err(Error::TimedOut { operation: "write" })));
    assert!(timed_out(writer.write_timeout(b"x", SOON)));
    assert!(timed_out(writer.write_atomic_timeout(b"x", SOON).map(|()| 1)));
    assert!(start.elapsed() >= 2 * SOON);
    assert_eq!(reader.readable().unwrap(), PIPE_BUF, "a refused write has written nothing");
    reader.try_read(&mut [0; PIPE_BUF]).unwrap();
    writer.write_atomic_timeout(b"x", Duration::MAX).unwrap();
}

#[test]
fn a_nonblocking_end_says_would_block_and_full() {
    let (mut reader, mut writer) = PipeOptions::new().capacity(PIPE_BUF).nonblocking(true).create().unwrap();
    assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(writer.write(&[0; PIPE_BUF]).unwrap(), PIPE_BUF);
    assert_eq!(writer.write(&[0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(matches!(writer.write_atomic(b"x"), Err(Error::Full)));
    assert!(reader.is_nonblocking().unwrap() && writer.is_nonblocking().unwrap());
    reader.set_nonblocking(false).unwrap();
    assert!(!reader.is_nonblocking().unwrap());
}

#[test]
fn calls_that_do_not_wait_leave_the_shared_description_alone() {
    let directory = Directory::new("description");
    let fifo = Fifo::create(directory.0.join("fifo")).unwrap();
    for (reader, writer) in [pipe().unwrap(), (fifo.try_reader().unwrap(), fifo.writer().unwrap())] {
        let others = (reader.try_clone().unwrap(), writer.try_clone().unwrap());
        assert!(matches!(reader.try_read(&mut [0]), Err(Error::Empty)));
        assert_eq!(writer.try_write(b"xy").unwrap(), 2);
        assert_eq!(reader.read_timeout(&mut [0], SOON).unwrap(), 1);
        assert!(!others.0.is_nonblocking().unwrap() && !others.1.is_nonblocking().unwrap());
        drop((writer, others.1));
        assert_eq!((reader.try_read(&mut [0; 4]).unwrap(), reader.try_read(&mut [0; 4]).unwrap()), (1, 0));
    }
}

#[test]
fn nobody_reads_is_a_broken_pipe_for_every_write() {
    let directory = Directory::new("broken");
    let fifo = Fifo::create(directory.0.join("fifo")).unwrap();
    let reader = fifo.try_reader().unwrap();
    for (reader, mut writer) in [pipe().unwrap(), (reader, fifo.writer().unwrap())] {
        drop(reader);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        for result in [
            writer.try_write(b"x"),
            writer.write_timeout(b"x", SOON),
            writer.write_atomic(b"x").map(|()| 1),
            writer.try_write_atomic(b"x").map(|()| 1),
            writer.write_atomic_timeout(b"x", SOON).map(|()| 1),
        ] {
            assert!(matches!(result, Err(Error::PeerGone { operation: "write" })), "{result:?}");
        }
    }
}

#[test]
fn too_long_for_one_piece_is_refused_before_the_first_byte() {
    let (reader, writer) = pipe().unwrap();
    let long = [0; PIPE_BUF + 1];
    for refused in
        [writer.write_atomic(&long), writer.try_write_atomic(&long), writer.write_atomic_timeout(&long, SOON)]
    {
        assert!(matches!(refused, Err(Error::TooLong { len: 4097, max: 4096 })));
    }
    assert_eq!(reader.readable().unwrap(), 0);
    writer.write_atomic(&[0; PIPE_BUF]).unwrap();
    assert_eq!(reader.readable().unwrap(), PIPE_BUF);
}

#[test]
fn the_wrong_end_is_ebadf_and_no_pipe_is_told() {
    let (reader, writer) = pipe().unwrap();
    let (wrong_writer, wrong_reader) =
        (PipeWriter::from(OwnedFd::from(reader)), PipeReader::from(OwnedFd::from(writer)));
    assert_eq!(call(wrong_reader.try_read(&mut [0])), libc::EBADF);
    assert_eq!(call(wrong_reader.read_timeout(&mut [0], SOON)), libc::EBADF);
    assert_eq!(call(wrong_writer.try_write(b"x")), libc::EBADF);
    assert_eq!(call(wrong_writer.write_timeout(b"x", SOON)), libc::EBADF);
    assert_eq!(call(wrong_writer.write_atomic(b"x")), libc::EBADF);
    let (reader, writer) = (PipeReader::from(null()), PipeWriter::from(null()));
    assert_eq!((call(reader.readable()), call(writer.readable())), (libc::ENOTTY, libc::ENOTTY));
    assert_eq!((call(reader.capacity()), call(writer.capacity())), (libc::EBADF, libc::EBADF));
    assert_eq!((call(reader.set_capacity(1)), call(writer.set_capacity(1))), (libc::EBADF, libc::EBADF));
    let directory = PipeReader::from(OwnedFd::from(File::open("/").unwrap()));
    assert_eq!(call(directory.try_read(&mut [0])), libc::EISDIR);
}

#[test]
fn the_capacity_obtained_is_told() {
    let (reader, writer) = pipe().unwrap();
    assert_eq!(reader.set_capacity(0).unwrap(), PIPE_BUF);
    assert_eq!(writer.set_capacity(PIPE_BUF + 1).unwrap(), 2 * PIPE_BUF);
    assert_eq!((reader.capacity().unwrap(), writer.capacity().unwrap()), (2 * PIPE_BUF, 2 * PIPE_BUF));
    assert_eq!(writer.try_write(&[0; 3 * PIPE_BUF]).unwrap(), 2 * PIPE_BUF);
    assert!(matches!(writer.set_capacity(PIPE_BUF), Err(Error::CapacityInUse { wanted: PIPE_BUF })));
    assert_eq!(call(writer.set_capacity(1 << 31)), libc::EINVAL);
    assert_eq!(call(writer.set_capacity(usize::MAX)), libc::EINVAL);
    assert_eq!(call(PipeOptions::new().capacity(1 << 31).create()), libc::EINVAL);
}

#[test]
#[cfg(std_pipe)]
#[clippy::msrv = "1.87"]
fn the_ends_become_std_s_and_come_back() {
    let (reader, writer) = pipe().unwrap();
    let (mut reader, mut writer) = (std::io::PipeReader::from(reader), std::io::PipeWriter::from(writer));
    writer.write_all(b"std").unwrap();
    reader.read_exact(&mut [0; 2]).unwrap();
    drop(writer);
    assert_eq!(PipeReader::from(reader).try_read(&mut [0; 4]).unwrap(), 1);
    let (_reader, writer) = std::io::pipe().unwrap();
    PipeWriter::from(writer).write_atomic(b"ours").unwrap();
}

#[test]
fn a_seek_is_espipe() {
    use std::io::Seek;
    let (reader, _writer) = pipe().unwrap();
    let error = File::from(OwnedFd::from(reader)).rewind().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ESPIPE));
}

#[test]
fn what_is_no_fifo_is_refused_and_left_alone() {
    let directory = Directory::new("kinds");
    let path = |name: &str| directory.0.join(name);
    fs::write(path("file"), "mine").unwrap();
    fs::create_dir(path("directory")).unwrap();
    symlink(path("file"), path("link")).unwrap();
    symlink(path("nowhere"), path("dangling")).unwrap();
    let _socket = UnixListener::bind(path("socket")).unwrap();
    for (name, what) in [
        ("file", "a regular file"),
        ("directory", "a directory"),
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("socket", "a socket"),
    ] {
        assert!(matches!(Fifo::create(path(name)), Err(Error::Exists { .. })), "{name}");
        for refused in [Fifo::open(path(name)).map(drop), Fifo::open_or_create(path(name)).map(drop)] {
            assert!(matches!(refused, Err(Error::NotFifo { found, .. }) if found == what), "{name}");
        }
    }
    assert!(matches!(Fifo::open("/dev/null"), Err(Error::NotFifo { found: "a device", .. })));
    assert_eq!(fs::read_to_string(path("file")).unwrap(), "mine");
    assert!(!path("nowhere").exists());
}

#[test]
fn names_that_cannot_be_have_their_errno() {
    let directory = Directory::new("names");
    let path = |name: &str| directory.0.join(name);
    fs::write(path("file"), "").unwrap();
    symlink(path("loop"), path("loop")).unwrap();
    let errno = |path: PathBuf| {
        let found = (call(Fifo::create(&path)), call(Fifo::open(&path)), call(Fifo::open_or_create(&path)));
        assert!(found.0 == found.1 && found.1 == found.2, "{found:?}");
        found.0
    };
    assert_eq!(errno(path("a\0b")), libc::EINVAL);
    assert_eq!(errno(path("a/")), libc::EINVAL);
    assert_eq!(errno(path("a/..")), libc::EINVAL);
    assert_eq!(errno(path("file/x")), libc::ENOTDIR);
    assert_eq!(errno(path("loop/x")), libc::ELOOP);
    assert_eq!(errno(path(&"x".repeat(256))), libc::ENAMETOOLONG);
    assert_eq!(errno(path(&"x/".repeat(3000)).join("x")), libc::ENAMETOOLONG);
    for missing in [PathBuf::new(), path("missing/x")] {
        assert!(matches!(Fifo::create(&missing), Err(Error::NotFound { .. })));
        assert!(matches!(Fifo::open(&missing), Err(Error::NotFound { .. })));
        assert!(matches!(Fifo::open_or_create(&missing), Err(Error::NotFound { .. })));
    }
    assert!(matches!(Fifo::open(path("missing")), Err(Error::NotFound { .. })));
    // 255 bytes are a name.
    assert!(Fifo::create(path(&"x".repeat(255))).unwrap().unlink().unwrap());
}

#[test]
fn names_relative_to_an_open_directory() {
    let directory = Directory::new("at");
    let held = File::open(&directory.0).unwrap();
    let options = FifoOptions::new();
    assert!(matches!(options.open_at(&held, "fifo"), Err(Error::NotFound { .. })));
    let made = options.create_at(&held, "fifo").unwrap();
    assert_eq!(options.open_at(&held, "fifo").unwrap().path(), made.path());
    assert!(matches!(options.create_at(&held, "fifo"), Err(Error::Exists { .. })));
    assert_eq!(call(options.create_at(&held, "a/b")), libc::EINVAL);
    // The directory moves, the name does not.
    let moved = directory.0.with_extension("moved");
    fs::rename(&directory.0, &moved).unwrap();
    assert!(options.open_at(&held, "fifo").unwrap().unlink().unwrap());
    fs::rename(&moved, &directory.0).unwrap();
}

#[test]
fn a_name_is_removed_only_while_it_is_ours() {
    let directory = Directory::new("unlink");
    let path = directory.0.join("fifo");
    let old = Fifo::create(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let new = Fifo::create(&path).unwrap();
    assert!(!old.unlink().unwrap(), "another's by now");
    // The old one is still held, and its ends meet.
    let (reader, writer) = (old.try_reader().unwrap(), old.writer().unwrap());
    assert!(matches!(new.try_writer(), Err(Error::NoReader { .. })));
    writer.write_atomic(b"x").unwrap();
    assert_eq!(reader.try_read(&mut [0; 4]).unwrap(), 1);
    drop(new.unlink_on_drop());
    assert!(!path.exists());
    drop(old.unlink_on_drop());
}

#[test]
fn a_keep_alive_reader_never_sees_the_end_of_file() {
    let directory = Directory::new("alive");
    let fifo = Fifo::create(directory.0.join("fifo")).unwrap();
    let reader = fifo.keep_alive_reader().unwrap();
    assert!(matches!(reader.try_read(&mut [0; 4]), Err(Error::Empty)));
    for _ in 0..3 {
        fifo.try_writer().unwrap().write_atomic(b"x").unwrap();
        assert_eq!(reader.try_read(&mut [0; 4]).unwrap(), 1);
        assert!(matches!(reader.try_read(&mut [0; 4]), Err(Error::Empty)));
    }
    // The control: a plain reader sees it after the first client.
    let plain = fifo.try_reader().unwrap();
    drop(reader);
    assert_eq!(plain.try_read(&mut [0; 4]).unwrap(), 0);
}
