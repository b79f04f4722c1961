//! Packet mode: one read, one packet.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_pipe::{Error, PIPE_BUF, PacketReader, PacketWriter, PipeOptions, pipe};
use proptest::collection::vec;
use proptest::prelude::*;

const SOON: Duration = Duration::from_millis(5);

fn packets() -> (PacketReader, PacketWriter) {
    PipeOptions::new().packets().unwrap()
}

proptest! {
    #[test]
    fn packets_are_neither_merged_nor_cut(lengths in vec(1..=PIPE_BUF, 1..=16)) {
        let (reader, writer) = packets();
        for len in &lengths {
            writer.send(&vec![7; *len]).unwrap();
        }
        drop(writer);
        let mut buffer = [0; PIPE_BUF];
        for len in &lengths {
            prop_assert_eq!(reader.recv(&mut buffer).unwrap(), Some(*len));
        }
        prop_assert_eq!(reader.recv(&mut buffer).unwrap(), None);
    }
}

#[test]
fn a_packet_longer_than_the_buffer_is_an_error() {
    let (reader, writer) = packets();
    writer.send(b"too long").unwrap();
    writer.send(b"fits").unwrap();
    let mut buffer = [0; 4];
    assert!(matches!(reader.recv(&mut buffer), Err(Error::Truncated { max: 4 })));
    assert_eq!(&buffer, b"too ");
    assert_eq!(reader.recv(&mut buffer).unwrap(), Some(4), "the next one is whole");
    assert_eq!(&buffer, b"fits");
    writer.send(b"x").unwrap();
    assert!(matches!(reader.try_recv(&mut []), Err(Error::Truncated { max: 0 })));
}

#[test]
fn what_cannot_be_one_packet_is_refused() {
    let (reader, writer) = packets();
    assert!(matches!(writer.send(&[0; PIPE_BUF + 1]), Err(Error::TooLong { len: 4097, max: 4096 })));
    assert!(matches!(writer.try_send(b""), Err(Error::EmptyPacket)));
    assert!(matches!(writer.send_timeout(b"", SOON), Err(Error::EmptyPacket)));
    assert!(matches!(reader.try_recv(&mut [0]), Err(Error::Empty)));
    assert!(matches!(reader.recv_timeout(&mut [0], SOON), Err(Error::TimedOut { .. })));
}

#[test]
fn full_means_that_every_page_holds_a_packet() {
    let (reader, writer) = packets();
    for _ in 0..16 {
        writer.try_send(b"x").unwrap();
    }
    assert!(matches!(writer.try_send(b"x"), Err(Error::Full)));
    assert!(matches!(writer.send_timeout(b"x", SOON), Err(Error::TimedOut { .. })));
    drop(reader);
    assert!(matches!(writer.send(b"x"), Err(Error::PeerGone { .. })));
    let (reader, writer) = PipeOptions::new().nonblocking(true).packets().unwrap();
    assert!(matches!(reader.recv(&mut [0]), Err(Error::Empty)));
    for _ in 0..16 {
        writer.send(b"x").unwrap();
    }
    assert!(matches!(writer.send(b"x"), Err(Error::Full)));
}

#[test]
fn a_writer_of_any_pipe_can_be_turned_to_packets() {
    let (reader, writer) = pipe().unwrap();
    let writer = PacketWriter::try_from(OwnedFd::from(writer)).unwrap();
    let reader = PacketReader::from(OwnedFd::from(reader));
    writer.send(b"one").unwrap();
    writer.send(b"two").unwrap();
    assert_eq!(reader.recv(&mut [0; 64]).unwrap(), Some(3));
    let file = File::open("/proc/self/status").unwrap();
    assert!(matches!(PacketWriter::try_from(OwnedFd::from(file)), Err(Error::System { .. })));
}
