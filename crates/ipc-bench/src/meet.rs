//! How the two processes come together: the near one makes the objects and hands them, or their names, to the far one
//! over a Unix socket; then both obey, word by word.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use ipc_uds::{Framed, Stream};

/// Which of the two a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Near,
    Far,
}

/// A process's connection to the other one.
pub(crate) struct Meet {
    pub(crate) place: Place,
    link: Framed<Stream>,
}

/// The longest answer: the times of a few hundred thousand messages.
const LONGEST: usize = 16 << 20;

impl Meet {
    pub(crate) fn new(place: Place, link: Stream) -> Self {
        Self { place, link: Framed::new(link, LONGEST, 16).unwrap() }
    }

    pub(crate) fn is_near(&self) -> bool {
        self.place == Place::Near
    }

    /// Sends bytes and descriptors, which are closed here.
    pub(crate) fn give(&mut self, bytes: &[u8], descriptors: impl Into<Vec<OwnedFd>>) {
        self.link.send_with(bytes, descriptors).unwrap();
    }

    /// The bytes and descriptors that the other side has sent.
    pub(crate) fn take(&mut self) -> (Vec<u8>, Vec<OwnedFd>) {
        self.try_take().unwrap()
    }

    /// The same; `None` where the other side has gone.
    pub(crate) fn try_take(&mut self) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
        let message = self.link.recv().unwrap_or_default()?;
        Some((message.bytes.to_vec(), message.descriptors))
    }

    /// Near makes both halves and keeps one; gives each side its own.
    pub(crate) fn halves<const N: usize>(
        &mut self,
        make: impl FnOnce() -> ([OwnedFd; N], [OwnedFd; N]),
    ) -> [OwnedFd; N] {
        match self.place {
            Place::Near => {
                let (mine, theirs) = make();
                self.give(b"halves", theirs);
                mine
            }
            Place::Far => self.take().1.try_into().unwrap(),
        }
    }

    /// Near makes objects that both hold.
    pub(crate) fn both<const N: usize>(&mut self, make: impl FnOnce() -> [OwnedFd; N]) -> [OwnedFd; N] {
        self.halves(|| {
            let mine = make();
            let theirs = mine.each_ref().map(|fd| fd.as_fd().try_clone_to_owned().unwrap());
            (mine, theirs)
        })
    }

    /// Near says numbers: ids of kernel objects, process ids.
    pub(crate) fn numbers<const N: usize>(&mut self, make: impl FnOnce() -> [u64; N]) -> [u64; N] {
        match self.place {
            Place::Near => {
                let numbers = make();
                self.say(&numbers);
                numbers
            }
            Place::Far => self.hear().unwrap().try_into().unwrap(),
        }
    }

    /// Both say a number and get the other's.
    pub(crate) fn exchange(&mut self, number: u64) -> u64 {
        self.say(&[number]);
        let [other] = self.hear().unwrap().try_into().unwrap();
        other
    }

    /// Waits until the other side is here, too.
    pub(crate) fn together(&mut self) {
        self.exchange(0);
    }

    pub(crate) fn say(&mut self, numbers: &[u64]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.link.send(&bytes).unwrap();
    }

    /// As [`Meet::hear`]; `None` also where nothing comes in time.
    pub(crate) fn hear_within(&mut self, time: Duration) -> Option<Vec<u64>> {
        let message = self.link.recv_timeout(time).unwrap_or_default()?;
        Some(numbers(message.bytes))
    }

    /// `None` where the other side has gone.
    pub(crate) fn hear(&mut self) -> Option<Vec<u64>> {
        let (bytes, _) = self.try_take()?;
        Some(numbers(&bytes))
    }
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
}
