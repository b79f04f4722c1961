//! splice, tee, vmsplice and copy: every byte once, in order, and each errno.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use ipc_pipe::{Error, Pages, PipeEnd, PipeOptions, PipeReader, PipeWriter, copy, pipe};

const SOON: Duration = Duration::from_millis(5);

/// A file that is gone with its handle.
fn file(bytes: &[u8]) -> File {
    let name = unused_name();
    let mut file = File::options().read(true).write(true).create_new(true).open(&name).unwrap();
    fs::remove_file(name).unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn unused_name() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let serial = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("ipc-pipe-{}-moving-{serial}", std::process::id()))
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn errno<T: std::fmt::Debug>(result: ipc_pipe::Result<T>) -> i32 {
    match result.unwrap_err() {
        Error::System { source, .. } => source.raw_os_error().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_goes_through_a_pipe_into_a_socket_and_back() {
    let bytes = pattern(300_000);
    let source = file(&bytes);
    let (reader, writer) = pipe().unwrap();
    let (left, right) = UnixStream::pair().unwrap();
    let (back, sink) = pipe().unwrap();
    let steps = [
        thread::spawn(move || copy(&source, &writer).unwrap()),
        thread::spawn(move || copy(&reader, &left).unwrap()),
        thread::spawn(move || copy(&right, &sink).unwrap()),
    ];
    let mut target = file(b"");
    assert_eq!(copy(&back, &target).unwrap(), 300_000);
    for step in steps {
        assert_eq!(step.join().unwrap(), 300_000);
    }
    let mut found = Vec::new();
    target.rewind().unwrap();
    target.read_to_end(&mut found).unwrap();
    assert!(found == bytes);
}

#[test]
fn copy_serves_what_cannot_be_spliced() {
    let bytes = pattern(200_000);
    // Neither is a pipe.
    let (from, to) = (file(&bytes), file(b""));
    assert_eq!(copy(&from, &to).unwrap(), 200_000);
    // O_APPEND refuses splice.
    let name = unused_name();
    let mut appended = File::options().create_new(true).append(true).read(true).open(&name).unwrap();
    fs::remove_file(name).unwrap();
    appended.write_all(b"before ").unwrap();
    let (reader, mut writer) = pipe().unwrap();
    assert_eq!(errno(reader.splice_to(&appended, 1)), libc::EINVAL);
    let feeder = thread::spawn(move || writer.write_all(&pattern(200_000)).unwrap());
    assert_eq!(copy(&reader, &appended).unwrap(), 200_000);
    feeder.join().unwrap();
    let mut again = file(&bytes);
    again.rewind().unwrap();
    assert_eq!(copy(&again, &appended).unwrap(), 200_000);
    let mut found = Vec::new();
    appended.rewind().unwrap();
    appended.read_to_end(&mut found).unwrap();
    assert!(found == [b"before ", bytes.as_slice(), bytes.as_slice()].concat());
}

#[test]
fn copy_waits_where_the_descriptors_do_not() {
    let (reader, mut writer) = PipeOptions::new().nonblocking(true).create().unwrap();
    let (back, sink) = PipeOptions::new().nonblocking(true).capacity(4096).create().unwrap();
    let copier = thread::spawn(move || copy(&reader, &sink).unwrap());
    writer.set_nonblocking(false).unwrap();
    back.set_nonblocking(false).unwrap();
    let feeder = thread::spawn(move || writer.write_all(&pattern(100_000)).unwrap());
    let mut found = Vec::new();
    (&back).read_to_end(&mut found).unwrap();
    feeder.join().unwrap();
    assert!(found == pattern(100_000) && copier.join().unwrap() == 100_000);
}

#[test]
fn offsets_leave_the_position_alone() {
    let mut both = file(b"0123456789");
    let (reader, writer) = pipe().unwrap();
    assert_eq!(writer.splice_from_at(&both, 4, 3).unwrap(), 3);
    assert_eq!(reader.splice_to_at(&both, 8, 100).unwrap(), 3);
    let mut text = String::new();
    both.read_to_string(&mut text).unwrap();
    assert_eq!(text, "01234567456");
    assert_eq!(writer.splice_from_at(&both, 1000, 3).unwrap(), 0, "behind the end");
    assert_eq!(errno(writer.splice_from_at(&both, u64::MAX, 3)), libc::EINVAL);
    writer.write_atomic(b"x").unwrap();
    let (_far, other) = pipe().unwrap();
    assert_eq!(errno(reader.splice_to_at(&other, 0, 1)), libc::ESPIPE);
    assert_eq!(errno(writer.splice_from_at(&reader, 0, 1)), libc::ESPIPE);
}

#[test]
fn tee_takes_nothing_out() {
    let ((reader, writer), (copied, to)) = (pipe().unwrap(), pipe().unwrap());
    writer.write_atomic(b"twice").unwrap();
    assert_eq!(reader.tee(&to, 100).unwrap(), 5);
    let mut buffer = [0; 8];
    assert_eq!((reader.try_read(&mut buffer).unwrap(), copied.try_read(&mut buffer).unwrap()), (5, 5));
    assert!(matches!(reader.try_tee(&to, 1), Err(Error::Empty)));
    assert_eq!(errno(reader.tee(&writer, 1)), libc::EINVAL, "the same pipe");
    let null = OwnedFd::from(File::options().write(true).open("/dev/null").unwrap());
    assert_eq!(errno(reader.tee(&PipeWriter::from(null), 1)), libc::EINVAL, "no pipe");
    writer.write_atomic(b"x").unwrap();
    to.set_capacity(4096).unwrap();
    to.write_atomic(&[0; 4096]).unwrap();
    assert!(matches!(reader.try_tee(&to, 1), Err(Error::Full)));
    drop(writer);
    drop(copied);
    assert!(matches!(reader.tee(&to, 1), Err(Error::PeerGone { operation: "tee" })));
    reader.try_read(&mut buffer).unwrap();
    let (_open, to) = pipe().unwrap();
    assert_eq!(reader.tee(&to, 1).unwrap(), 0, "the end of file");
}

#[test]
fn splice_names_what_is_wrong() {
    let ((reader, writer), (far, to)) = (pipe().unwrap(), pipe().unwrap());
    assert!(matches!(reader.try_splice_to(&to, 1), Err(Error::Empty)));
    assert_eq!(errno(reader.splice_to(&writer, 1)), libc::EINVAL, "the same pipe");
    assert_eq!(errno(reader.splice_to(&far, 1)), libc::EBADF, "a reading end");
    assert_eq!(errno(writer.splice_from(&to, 1)), libc::EBADF, "a writing end");
    assert_eq!(errno(PipeReader::from(OwnedFd::from(file(b"x"))).splice_to(file(b""), 1)), libc::EINVAL);
    writer.write_atomic(b"x").unwrap();
    to.set_capacity(4096).unwrap();
    to.write_atomic(&[0; 4096]).unwrap();
    assert!(matches!(reader.try_splice_to(&to, 1), Err(Error::Full)));
    assert!(matches!(to.try_splice_from(&reader, 1), Err(Error::Full)));
    drop(far);
    for refused in [reader.splice_to(&to, 1), to.splice_from(&reader, 1)] {
        assert!(matches!(refused, Err(Error::PeerGone { operation: "splice" })));
    }
    assert!(matches!(copy(&reader, &to), Err(Error::PeerGone { .. })));
    let (left, right) = UnixStream::pair().unwrap();
    drop(right);
    assert!(matches!(reader.splice_to(&left, 1), Err(Error::PeerGone { .. })));
    let mut buffer = [0; 2];
    drop(writer);
    while reader.try_read(&mut buffer).unwrap() > 0 {}
    assert_eq!(reader.splice_to(&left, 1).unwrap(), 0, "the end of file");
    let directory = File::open("/").unwrap();
    assert!(copy(&directory, &left).is_err());
}

#[test]
fn gifts_arrive_as_they_were() {
    let (reader, writer) = pipe().unwrap();
    let len = 500_000;
    let feeder = thread::spawn(move || {
        let mut pages = Pages::new(len).unwrap();
        pages.copy_from_slice(&pattern(len));
        writer.gift(pages).unwrap();
        // The memory is given back and used anew while the pipe still refers to the pages.
        let mut others = Pages::new(len).unwrap();
        others.fill(0xff);
        drop(writer);
        others.len()
    });
    let mut found = Vec::new();
    (&reader).read_to_end(&mut found).unwrap();
    assert!(found == pattern(len) && feeder.join().unwrap() == len);
}

#[test]
fn frozen_pages_are_sent_as_often_as_one_likes() {
    let (reader, writer) = pipe().unwrap();
    let mut pages = Pages::new(100_000).unwrap();
    pages.copy_from_slice(&pattern(100_000));
    let pages = pages.freeze().unwrap();
    for _ in 0..3 {
        let mut sent = 0;
        let mut found = Vec::new();
        while sent < pages.len() {
            sent += writer.vmsplice_timeout(&pages, sent, SOON).unwrap();
            found.resize(sent, 0);
            let from = found.len() - reader.readable().unwrap();
            (&reader).read_exact(found.get_mut(from..).unwrap()).unwrap();
        }
        assert!(found == *pages);
    }
    assert_eq!(writer.vmsplice(&pages, 0).unwrap(), 65_536);
    assert!(matches!(writer.try_vmsplice(&pages, 0), Err(Error::Full)));
    let late = writer.vmsplice_timeout(&pages, 0, SOON);
    assert!(matches!(late, Err(Error::TimedOut { operation: "vmsplice" })));
    drop(reader);
    assert!(matches!(writer.try_vmsplice(&pages, 0), Err(Error::PeerGone { operation: "vmsplice" })));
    assert!(matches!(writer.gift(Pages::new(1).unwrap()), Err(Error::PeerGone { .. })));
    assert_eq!(errno(Pages::new(1 << 60)), libc::ENOMEM);
    let no_pipe = PipeWriter::from(file(b"").as_fd().try_clone_to_owned().unwrap());
    assert_eq!(errno(no_pipe.gift(Pages::new(1).unwrap())), libc::EBADF);
}

#[test]
#[should_panic = "behind the end"]
fn an_offset_behind_the_end_panics() {
    let _ = pipe().unwrap().1.try_vmsplice(&Pages::new(10).unwrap().freeze().unwrap(), 11);
}
