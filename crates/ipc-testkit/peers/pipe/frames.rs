//! Frames of a writer that will be killed.

use ipc_frame::FrameWriter;
use ipc_pipe::Fifo;
use ipc_testkit::role::{Result, say};

/// The payload of frame `serial`: its number, and bytes that follow from it.
pub(crate) fn payload(serial: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![serial.to_le_bytes()[0]; len];
    bytes[..4].copy_from_slice(&serial.to_le_bytes());
    bytes
}

/// PATH LEN: frames for ever.
pub(crate) fn writer(arguments: &[String]) -> Result {
    let (path, len): (_, usize) = (&arguments[0], arguments[1].parse()?);
    let mut writer = FrameWriter::new(Fifo::open(path)?.writer()?, len);
    say("ready")?;
    for serial in 0.. {
        writer.send(&payload(serial, len))?;
    }
    Ok(())
}
