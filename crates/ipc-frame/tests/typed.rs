//! Values through frames.
#![cfg(feature = "serde")]

use std::collections::BTreeMap;

use ipc_frame::{Error, FrameReader, FrameWriter};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Message {
    Put { key: String, values: Vec<i64> },
    Table(BTreeMap<u8, Option<f64>>),
    Stop,
}

#[test]
fn values_arrive_as_they_were() {
    let messages = [
        Message::Put { key: "k".to_owned(), values: vec![-1, i64::MAX, 0] },
        Message::Table(BTreeMap::from([(1, Some(0.5)), (2, None)])),
        Message::Stop,
    ];
    let mut stream = Vec::new();
    let mut writer = FrameWriter::new(&mut stream, 1024);
    messages.iter().for_each(|message| writer.send_value(message).unwrap());
    drop(writer);
    let mut reader = FrameReader::new(stream.as_slice(), 1024);
    for message in messages {
        assert_eq!(reader.recv_value().unwrap(), Some(message));
    }
    assert_eq!(reader.recv_value::<Message>().unwrap(), None);
}

#[test]
fn what_is_no_value_is_an_error_and_the_next_frame_is_read() {
    let mut stream = Vec::new();
    let mut writer = FrameWriter::new(&mut stream, 1024);
    writer.send(&[9]).unwrap();
    // A key of 2^63 bytes, of which none comes.
    writer.send(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).unwrap();
    writer.send(&[2, 0]).unwrap();
    writer.send_value(&Message::Stop).unwrap();
    assert!(matches!(writer.send_value(&[0_u8; 2000].as_slice()), Err(Error::TooLong { .. })));
    drop(writer);
    let mut reader = FrameReader::new(stream.as_slice(), 1024);
    for _ in 0..3 {
        assert!(matches!(reader.recv_value::<Message>(), Err(Error::Encoding { .. })));
    }
    assert_eq!(reader.recv_value().unwrap(), Some(Message::Stop));
}
