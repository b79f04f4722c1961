//! Streams of bytes: how long a read is, where it ends, what one message is.

use std::ffi::CStr;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use ipc_frame::{FrameReader, FrameWriter};
use ipc_pipe::{PipeReader, PipeWriter, pipe};
use ipc_testkit::proof;

const MAX: usize = 1024;

/// A shell that writes `script`'s output into a pipe, of which we hold the reading end.
fn shell(script: &str) -> (PipeReader, Child) {
    let (reader, writer) = pipe().unwrap();
    let child = Command::new("sh").arg("-c").arg(script).stdout(writer).spawn().unwrap();
    (reader, child)
}

/// `cat`, and our ends of the two pipes that it copies between.
fn cat() -> (PipeWriter, PipeReader, Child) {
    let (input, writer) = pipe().unwrap();
    let (reader, output) = pipe().unwrap();
    let child = Command::new("cat").stdin(input).stdout(output).stderr(Stdio::null()).spawn().unwrap();
    (writer, reader, child)
}

#[test]
fn a_read_is_as_long_as_it_says_and_ends_with_no_nul() {
    let (mut reader, mut child) = shell("printf hello");
    let mut buffer = [b'x'; 16];
    let len = reader.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"hello");
    assert!(CStr::from_bytes_until_nul(&buffer).is_err(), "printf would read on behind the buffer");
    assert!(child.wait().unwrap().success());
    proof!("pitfalls", "{len} bytes of 16 are the message; naive twin: no NUL in any of them");
}

#[test]
fn the_end_of_file_ends_the_loop() {
    let (mut reader, mut child) = shell("printf hello");
    let mut buffer = [0; 5];
    let mut texts = 0;
    while reader.read(&mut buffer).unwrap() > 0 {
        texts += 1;
    }
    assert_eq!(texts, 1);
    assert!(child.wait().unwrap().success());

    let (mut reader, mut child) = shell("printf hello");
    assert!(child.wait().unwrap().success());
    let printed = (0..1000).filter(|_| reader.read(&mut buffer).is_ok() && &buffer == b"hello").count();
    assert_eq!(printed, 1000, "the naive twin prints the last text for ever");
    proof!("pitfalls", "one text printed once; naive twin: {printed} times in 1000 turns");
}

#[test]
fn a_message_is_sent_once_and_whole() {
    let (mut writer, mut reader, mut child) = cat();
    let mut line = Vec::new();
    for letter in b"hello" {
        line.push(*letter);
        writer.write_all(&line).unwrap(); // inside the loop that it should follow
    }
    drop(writer);
    let mut twin = String::new();
    reader.read_to_string(&mut twin).unwrap();
    assert_eq!(twin, "hhehelhellhello");
    assert!(child.wait().unwrap().success());

    let (writer, reader, mut child) = cat();
    let mut writer = FrameWriter::new(writer, MAX);
    writer.send(&line).unwrap();
    drop(writer);
    let mut frames = FrameReader::new(reader, MAX);
    assert_eq!(frames.recv().unwrap(), Some(&b"hello"[..]));
    assert_eq!(frames.recv().unwrap(), None);
    assert!(child.wait().unwrap().success());
    proof!("pitfalls", "one message; naive twin: {twin}");
}
