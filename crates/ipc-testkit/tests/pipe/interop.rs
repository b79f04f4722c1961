//! Programs that know nothing of us, on the other side of a FIFO.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use ipc_pipe::{Fifo, PipeOptions};
use ipc_testkit::{WATCHDOG, name, skip};

fn is_missing(program: &str) -> bool {
    Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
}

#[test]
fn socat_reads_and_writes_our_fifo() {
    if is_missing("socat") {
        skip!("no socat on this machine");
    }
    let directory = name::directory();
    let path = directory.path().join("read");
    let fifo = Fifo::create(&path).unwrap();
    let address = format!("OPEN:{},wronly", path.display());
    let mut theirs = Command::new("socat").args(["-u", "-", &address]).stdin(Stdio::piped()).spawn().unwrap();
    let mut reader = fifo.reader_timeout(WATCHDOG).unwrap();
    theirs.stdin.take().unwrap().write_all(b"from socat").unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "from socat");
    assert!(theirs.wait().unwrap().success());

    // Another one: on this one our own reading end, or the copy of it that a child has which another test is just starting,
    // would be the reader, and ours be gone before theirs opens.
    let path = directory.path().join("written");
    let fifo = Fifo::create(&path).unwrap();
    // Its PIPE address would open the FIFO for both, and never see the end of file.
    let address = format!("OPEN:{},rdonly", path.display());
    let theirs = Command::new("socat").args(["-u", &address, "-"]).stdout(Stdio::piped()).spawn().unwrap();
    fifo.writer_timeout(WATCHDOG).unwrap().write_atomic(b"to socat").unwrap();
    assert_eq!(theirs.wait_with_output().unwrap().stdout, b"to socat");
}

#[test]
fn the_shell_reads_and_writes_our_fifo() {
    let directory = name::directory();
    let path = directory.path().join("read");
    let fifo = Fifo::create(&path).unwrap();
    let mut theirs = Command::new("sh").args(["-c", "printf hello > \"$0\""]).arg(&path).spawn().unwrap();
    let mut text = String::new();
    fifo.reader_timeout(WATCHDOG).unwrap().read_to_string(&mut text).unwrap();
    assert!(text == "hello" && theirs.wait().unwrap().success());

    // Another one, for the same reason as above.
    let path = directory.path().join("written");
    let fifo = Fifo::create(&path).unwrap();
    let theirs = Command::new("cat").arg(&path).stdout(Stdio::piped()).spawn().unwrap();
    fifo.writer_timeout(WATCHDOG).unwrap().write_atomic(b"hello").unwrap();
    assert_eq!(theirs.wait_with_output().unwrap().stdout, b"hello");
}

#[test]
fn python_reads_our_packets_and_sends_its_own() {
    if is_missing("python3") {
        skip!("no python3 on this machine");
    }
    let script = "import os, sys\nwhile p := os.read(0, 4096): os.write(1, p.upper())";
    let (input, writer) = PipeOptions::new().packets().unwrap();
    let (reader, output) = PipeOptions::new().packets().unwrap();
    let mut theirs =
        Command::new("python3").args(["-c", script]).stdin(input).stdout(output).spawn().unwrap();
    for packet in ["one", "two", "three"] {
        writer.send(packet.as_bytes()).unwrap();
        let mut buffer = [0; 64];
        let len = reader.recv(&mut buffer).unwrap().unwrap();
        assert_eq!(buffer[..len], *packet.to_uppercase().as_bytes());
    }
    drop(writer);
    assert!(theirs.wait().unwrap().success());
}

/// The flaw of Linux 5.8 to 5.16 (CVE-2022-0847): a write into a pipe whose page is a file's changed the file.
#[test]
fn a_write_behind_spliced_pages_leaves_the_file_alone() {
    let directory = name::directory();
    let path = directory.path().join("file");
    std::fs::write(&path, "read only").unwrap();
    let (reader, writer) = PipeOptions::new().capacity(4096).create().unwrap();
    // Every page of the pipe has once been written to.
    writer.write_atomic(&[0; 4096]).unwrap();
    reader.try_read(&mut [0; 4096]).unwrap();
    let file = OwnedFd::from(File::open(&path).unwrap());
    assert_eq!(writer.splice_from_at(&file, 0, 1).unwrap(), 1);
    let _ = writer.try_write(b"overwritten");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "read only");
}
