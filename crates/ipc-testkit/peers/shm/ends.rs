//! Both ends of a channel of each kind, and every call on them; included by the tests and by their peers.

use std::time::Duration;

use ipc_shm::broadcast::{self, lossless};
use ipc_shm::{Error, Payload, Wait, bytes, latest, mpsc, spsc};
use ipc_testkit::role::Result;

/// How long a victim waits at most in one call.
pub(crate) const SOON: Duration = Duration::from_micros(50);

/// A packed message.
pub(crate) type Large = [u64; 8];

/// The ends of one channel in one process.
pub(crate) enum Ends {
    Slots(spsc::Sender<u64>, spsc::Receiver<u64>),
    Packed(spsc::Sender<Large>, spsc::Receiver<Large>),
    Bytes(bytes::Sender, bytes::Receiver),
    Latest(latest::Writer<u64>, latest::Reader<u64>),
    Broadcast(broadcast::Writer<u64>, broadcast::Reader<u64>),
    Lanes(spsc::Sender<u64>, mpsc::Receiver<u64>),
    Lossless(lossless::Writer<u64>, lossless::Reader<u64>),
}

impl Ends {
    /// Makes the channel, which stays when the ends go.
    pub(crate) fn create(kind: &str, name: &str) -> ipc_shm::Result<()> {
        match kind {
            "slots" | "lanes" => spsc::Sender::<u64>::create(name, 16)?.persist(),
            "packed" => spsc::Sender::<Large>::create(name, 16)?.persist(),
            "bytes" => bytes::Sender::create(name, 1024)?.persist(),
            "latest" => latest::Writer::<u64>::create(name)?.persist(),
            "lossless" => lossless::Writer::<u64>::create(name, 16)?.persist(),
            _ => broadcast::Writer::<u64>::create(name, 16)?.persist(),
        }
        Ok(())
    }

    /// Attaches both.
    pub(crate) fn open(kind: &str, name: &str) -> ipc_shm::Result<Self> {
        fn ring<T: Payload>(name: &str) -> ipc_shm::Result<(spsc::Sender<T>, spsc::Receiver<T>)> {
            let (mut sender, mut receiver) = (spsc::Sender::open(name)?, spsc::Receiver::open(name)?);
            // Who is stepped, instruction by instruction, must not spin.
            sender.set_wait(Wait::Park);
            receiver.set_wait(Wait::Park);
            Ok((sender, receiver))
        }
        Ok(match kind {
            "slots" => ring(name).map(|(sender, receiver)| Self::Slots(sender, receiver))?,
            "packed" => ring(name).map(|(sender, receiver)| Self::Packed(sender, receiver))?,
            "bytes" => {
                let (mut sender, mut receiver) = (bytes::Sender::open(name)?, bytes::Receiver::open(name)?);
                sender.set_wait(Wait::Park);
                receiver.set_wait(Wait::Park);
                Self::Bytes(sender, receiver)
            }
            "latest" => Self::Latest(latest::Writer::open(name)?, latest::Reader::open(name)?),
            "broadcast" => Self::Broadcast(broadcast::Writer::open(name)?, broadcast::Reader::open(name)?),
            "lossless" => {
                let (mut writer, mut reader) = (lossless::Writer::open(name)?, lossless::Reader::open(name)?);
                writer.set_wait(Wait::Park);
                reader.set_wait(Wait::Park);
                Self::Lossless(writer, reader)
            }
            _ => {
                let (sender, lane) = ring(name)?;
                let mut receiver = mpsc::Receiver::new();
                receiver.set_wait(Wait::Park);
                receiver.admit(lane)?;
                Self::Lanes(sender, receiver)
            }
        })
    }

    /// As [`Ends::use_all`], less the calls that spin.
    pub(crate) fn use_briefly(&mut self) -> Vec<ipc_shm::Result<()>> {
        match self {
            Self::Latest(writer, reader) => {
                vec![writer.write(&7), reader.read().map(drop), reader.read_newer().map(drop)]
            }
            Self::Broadcast(writer, reader) => {
                vec![
                    writer.write(&7),
                    reader.try_recv().map(drop),
                    reader.try_recv_batch(&mut [0; 2]).map(drop),
                ]
            }
            Self::Slots(sender, receiver) => ring(sender, receiver, 7, 2),
            Self::Packed(sender, receiver) => ring(sender, receiver, [7; 8], 2),
            Self::Lossless(writer, reader) => shared(writer, reader, 7, 2),
            others => others.use_all(7),
        }
    }

    /// Every call that sends or receives, once; what each came to.
    pub(crate) fn use_all(&mut self, turn: u64) -> Vec<ipc_shm::Result<()>> {
        match self {
            Self::Slots(sender, receiver) => ring(sender, receiver, turn, 20),
            Self::Packed(sender, receiver) => ring(sender, receiver, [turn; 8], 20),
            Self::Bytes(sender, receiver) => {
                let mut buffer = Vec::new();
                let results = vec![
                    sender.try_send(&[7; 100]),
                    sender.try_send_batch(&[&[1; 3], &[2; 300]]).map(drop),
                    sender.send_timeout(&[3; 700], SOON),
                    receiver.try_recv(&mut buffer).map(drop),
                    receiver.recv_timeout(&mut buffer, SOON).map(drop),
                    receiver.release(),
                ];
                assert!(buffer.len() <= receiver.max_len());
                results
            }
            Self::Latest(writer, reader) => vec![
                writer.write(&turn),
                reader.read().map(drop),
                reader.read_newer().map(drop),
                reader.wait_timeout(SOON).map(drop),
                reader.writer_is_alive().map(drop),
            ],
            Self::Broadcast(writer, reader) => {
                vec![
                    writer.write(&turn),
                    writer.write_batch(&[turn; 20]),
                    reader.try_recv().map(drop),
                    reader.try_recv_batch(&mut [0; 5]).map(drop),
                    reader.recv_timeout(SOON).map(drop),
                ]
            }
            Self::Lossless(writer, reader) => shared(writer, reader, turn, 20),
            Self::Lanes(sender, receiver) => {
                let mut results = vec![
                    sender.try_send(&turn),
                    receiver.try_recv().map(drop),
                    receiver.try_recv_batch(&mut [0; 5]).map(drop),
                    receiver.recv_timeout(SOON).map(drop),
                ];
                results.extend(receiver.departed().into_iter().map(|(_, error)| Err(error)));
                results
            }
        }
    }
}

/// Every call on the two ends of a ring.
fn ring<T: Payload + Copy>(
    sender: &mut spsc::Sender<T>,
    receiver: &mut spsc::Receiver<T>,
    message: T,
    batch: usize,
) -> Vec<ipc_shm::Result<()>> {
    let mut buffer = vec![message; batch];
    vec![
        sender.try_send(&message),
        sender.try_send_batch(&vec![message; batch]).map(drop),
        sender.send_timeout(&message, SOON),
        receiver.try_recv().map(drop),
        receiver.try_recv_batch(&mut buffer).map(drop),
        receiver.recv_timeout(SOON).map(drop),
        receiver.release(),
    ]
}

/// Every call on the two ends of a lossless broadcast.
fn shared(
    writer: &mut lossless::Writer<u64>,
    reader: &mut lossless::Reader<u64>,
    message: u64,
    batch: usize,
) -> Vec<ipc_shm::Result<()>> {
    let mut buffer = vec![message; batch];
    vec![
        writer.try_write(&message),
        writer.try_write_batch(&vec![message; batch]).map(drop),
        writer.write_timeout(&message, SOON),
        reader.try_recv().map(drop),
        reader.try_recv_batch(&mut buffer).map(drop),
        reader.recv_timeout(SOON).map(drop),
        writer.readers().map(drop),
        writer.wait_for_readers_timeout(1, SOON),
    ]
}

/// The word for an end that may be.
pub(crate) fn word(result: &ipc_shm::Result<()>) -> Result<&'static str> {
    Ok(match result {
        Ok(()) => "ok",
        Err(Error::PeerCorrupt { .. }) => "corrupt",
        Err(
            Error::Full
            | Error::Empty
            | Error::TimedOut
            | Error::Disconnected
            | Error::WriterDied
            | Error::Lagged(_)
            | Error::TakenAway
            | Error::Contended,
        ) => "nothing",
        Err(Error::Refused { .. } | Error::EndInUse { .. } | Error::NotFound { .. }) => "refused",
        // The futex word's page is gone.
        Err(error @ Error::System { .. }) if error.errno() == Some(libc::EFAULT) => "gone",
        Err(error) => return Err(format!("{error}").into()),
    })
}
