//! Memory that another process has filled: an honest process attaches it, as each kind of channel and of shared value, and
//! makes every call that does not wait. What it finds there, before it attaches and afterwards, is its own good image of
//! such memory with any words changed. No call panics or crashes, and nothing is allocated beyond what the memory holds.
#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::process;
use std::time::Duration;

use ipc_shm::broadcast::{self, lossless};
use ipc_shm::{
    Barrier, Event, Invitation, Sealed, Semaphore, Shared, SharedMemory, bytes, latest, mpmc, mpsc, request,
    spsc,
};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

#[derive(Debug, Arbitrary)]
struct Input {
    kind: Kind,
    before: Vec<Change>,
    after: Vec<Change>,
    /// Whether somebody else looks on; that reads all of /proc.
    watched: bool,
}

/// One word and what becomes of it.
#[derive(Debug, Arbitrary)]
struct Change {
    word: u16,
    to: To,
}

#[derive(Debug, Arbitrary)]
enum To {
    Value(u64),
    Further(i8),
    OtherBit(u8),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Kind {
    Slots,
    Packed,
    Lanes,
    Bytes,
    Latest,
    Broadcast,
    Lossless,
    Queue,
    Calls,
    Values,
    Memory,
    SealedSlots,
    SealedPacked,
    SealedBytes,
    SealedCalls,
    SealedRoom,
}

/// A packed message.
type Large = [u64; 8];

ipc_shm::in_place! {
    safe struct Values {
        permits: Semaphore,
        event: Event,
        barrier: Barrier<4>,
    }
}

fuzz_target!(|input: Input| {
    // What is refused, or an error, is as good as what works.
    let _ = attach(&input);
});

fn attach(input: &Input) -> ipc_shm::Result<()> {
    match input.kind {
        Kind::Slots => {
            let named = Named::of(input, |name| spsc::Sender::<u64>::create(name, 16));
            ring(named.ends(spsc::Sender::open, spsc::Receiver::open), |turn| turn)
        }
        Kind::Packed => {
            let named = Named::of(input, |name| spsc::Sender::<Large>::create(name, 16));
            ring(named.ends(spsc::Sender::open, spsc::Receiver::open), |turn| [turn; 8])
        }
        Kind::Lanes => {
            let named = Named::of(input, |name| spsc::Sender::<u64>::create(name, 16));
            let (mut sender, lane) = named.ends(spsc::Sender::<u64>::open, spsc::Receiver::<u64>::open)?;
            let mut receiver = mpsc::Receiver::new();
            receiver.admit(lane)?;
            for turn in 0..20 {
                let _ = sender.try_send(&turn);
                let _ = receiver.try_recv();
                receiver.departed();
            }
            Ok(())
        }
        Kind::Bytes => {
            let named = Named::of(input, |name| bytes::Sender::create(name, 1024));
            texts(named.ends(bytes::Sender::open, bytes::Receiver::open))
        }
        Kind::Latest => {
            let named = Named::of(input, |name| latest::Writer::<u64>::create(name));
            let (mut writer, mut reader) =
                named.ends(latest::Writer::<u64>::open, latest::Reader::<u64>::open)?;
            for turn in 0..20 {
                let _ = (reader.read(), writer.write(&turn), reader.read_newer(), reader.writer_is_alive());
            }
            Ok(())
        }
        Kind::Broadcast => {
            let named = Named::of(input, |name| broadcast::Writer::<u64>::create(name, 16));
            let (mut writer, mut reader) =
                named.ends(broadcast::Writer::<u64>::open, broadcast::Reader::<u64>::open)?;
            for turn in 0..20 {
                let _ = (reader.try_recv(), writer.write(&turn), reader.recv_timeout(Duration::ZERO));
            }
            Ok(())
        }
        Kind::Lossless => {
            let named = Named::of(input, |name| lossless::Writer::<u64>::create(name, 16));
            let (mut writer, mut reader) =
                named.ends(lossless::Writer::<u64>::open, lossless::Reader::<u64>::open)?;
            let mut buffer = [0; 20];
            for turn in 0..20 {
                let _ = (reader.try_recv(), writer.try_write(&turn), reader.try_recv_batch(&mut buffer));
                let _ = (
                    writer.try_write_batch(&[turn; 20]),
                    writer.readers(),
                    reader.recv_timeout(Duration::ZERO),
                );
            }
            Ok(())
        }
        Kind::Queue => {
            let named = Named::of(input, |name| mpmc::Sender::<u64>::create(name, 16));
            let (mut sender, mut receiver) =
                named.ends(mpmc::Sender::<u64>::open, mpmc::Receiver::<u64>::open)?;
            for turn in 0..20 {
                let _ = (receiver.try_recv(), sender.try_send(&turn), receiver.stat());
                let _ = receiver.try_hold().map(|held| held.done());
                let _ = sender.send_timeout(&turn, Duration::ZERO);
                let _ = receiver.recv_timeout(Duration::ZERO);
            }
            Ok(())
        }
        Kind::Calls => {
            let named = Named::of(input, |name| request::Client::<u64, u64>::create(name, 16));
            calls(named.ends(request::Client::open, request::Server::open))
        }
        Kind::Values => {
            let named = Named::of(input, |name| Shared::<Values>::create(name, |_| Ok(())));
            let shared = Shared::<Values>::open(&named.name)?;
            named.change(&input.after);
            let Values { permits, event, barrier } = shared.get()?;
            let _ = (permits.try_acquire(), permits.release(3), permits.acquire_timeout(Duration::ZERO));
            let _ = (event.set(), event.reset(), event.wait_timeout(Duration::ZERO));
            let mut party = barrier.join(&shared)?;
            let _ = party.wait_timeout(Duration::ZERO);
            Ok(())
        }
        Kind::Memory => {
            let named = Named::of(input, |name| SharedMemory::create(name, 100));
            let memory = SharedMemory::open(&named.name)?;
            named.change(&input.after);
            assert!(memory.len() <= named.len);
            let _ = (memory.read::<[u64; 4]>(72), memory.write(72, &[7_u64; 4]), memory.share());
            Ok(())
        }
        Kind::SealedSlots => {
            let (_offer, invitation) = spsc::Sender::<u64, Sealed>::offer(16)?;
            let (mut receiver, _) = forged(invitation, &input.before)?.accept()?;
            let mut buffer = [0; 20];
            for _ in 0..20 {
                let _ = (receiver.try_recv(), receiver.try_recv_batch(&mut buffer), receiver.stat());
            }
            Ok(())
        }
        Kind::SealedPacked => {
            let (_offer, invitation) = spsc::Sender::<Large, Sealed>::offer(16)?;
            let (mut receiver, _) = forged(invitation, &input.before)?.accept()?;
            let mut buffer = [[0; 8]; 20];
            for _ in 0..20 {
                let _ = (receiver.try_recv(), receiver.try_recv_batch(&mut buffer), receiver.stat());
            }
            Ok(())
        }
        Kind::SealedBytes => {
            let (_offer, invitation) = bytes::Sender::<Sealed>::offer(1024)?;
            let (mut receiver, _) = forged(invitation, &input.before)?.accept()?;
            let mut message = Vec::new();
            for _ in 0..20 {
                let _ = receiver.try_recv(&mut message);
                assert!(message.len() <= receiver.max_len());
            }
            Ok(())
        }
        Kind::SealedCalls => {
            let (_offer, invitation) = request::Client::<u64, u64, Sealed>::offer(16)?;
            let (server, _) = forged(invitation, &input.before)?.accept()?;
            for turn in 0..20 {
                let _ = server.try_recv().map(|request| (request.remaining(), request.answer(&turn)));
            }
            Ok(())
        }
        // The receiver's half, which says how much room there is.
        Kind::SealedRoom => {
            let (_offer, invitation) = spsc::Receiver::<u64, Sealed>::offer(16)?;
            let (mut sender, _) = forged(invitation, &input.before)?.accept()?;
            for turn in 0..20 {
                let _ = (sender.try_send(&turn), sender.try_send_batch(&[turn; 20]), sender.stat());
            }
            Ok(())
        }
    }
}

fn ring<T: ipc_shm::Payload + Copy>(
    ends: ipc_shm::Result<(spsc::Sender<T>, spsc::Receiver<T>)>,
    make: fn(u64) -> T,
) -> ipc_shm::Result<()> {
    let (mut sender, mut receiver) = ends?;
    let mut buffer = [make(0); 20];
    for turn in 0..20 {
        let _ = (receiver.try_recv(), sender.try_send(&make(turn)), receiver.try_recv_batch(&mut buffer));
        let _ =
            (sender.try_send_batch(&[make(turn); 20]), receiver.release(), sender.stat(), receiver.stat());
        let _ = (receiver.recv_timeout(Duration::ZERO), sender.send_timeout(&make(turn), Duration::ZERO));
    }
    Ok(())
}

fn texts(ends: ipc_shm::Result<(bytes::Sender, bytes::Receiver)>) -> ipc_shm::Result<()> {
    let (mut sender, mut receiver) = ends?;
    let mut message = Vec::new();
    for turn in 0..20 {
        let _ = receiver.try_recv(&mut message);
        assert!(message.len() <= receiver.max_len());
        let _ =
            (sender.try_send(&[turn; 100]), sender.try_send_batch(&[&[1; 3], &[2; 300]]), receiver.release());
        let _ = receiver.recv_timeout(&mut message, Duration::ZERO);
    }
    Ok(())
}

fn calls(
    ends: ipc_shm::Result<(request::Client<u64, u64>, request::Server<u64, u64>)>,
) -> ipc_shm::Result<()> {
    let (client, server) = ends?;
    for turn in 0..20 {
        let call = client.try_send(&turn);
        let _ = server.try_recv().map(|request| (request.remaining(), request.answer(&turn)));
        let _ = call.map(|mut call| (call.try_recv(), call.recv_timeout(Duration::ZERO)));
        let _ = (client.stat(), server.stat());
    }
    Ok(())
}

thread_local! {
    /// What the memory of each kind begins as.
    static GOOD: RefCell<BTreeMap<u8, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// A name in /dev/shm with what a stranger has left there; it goes with this.
struct Named<'i> {
    name: String,
    file: File,
    len: usize,
    input: &'i Input,
}

impl<'i> Named<'i> {
    /// Puts a changed image there of the memory that `create` makes.
    fn of<T>(input: &'i Input, create: impl FnOnce(&str) -> ipc_shm::Result<T>) -> Self {
        let name = format!("ipc-fuzz-{}", process::id());
        let path = format!("/dev/shm/{name}");
        let mut image = GOOD.with_borrow_mut(|good| {
            let make = || {
                let _made = create(&name).expect("a new name");
                fs::read(&path).expect("our own file")
            };
            good.entry(input.kind as u8).or_insert_with(make).clone()
        });
        change(&mut image, &input.before);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&path).expect("a new file");
        file.write_all(&image).expect("room");
        Self { name, file, len: image.len(), input }
    }

    /// Attaches both ends, and changes what they have attached.
    fn ends<'n, A, B>(
        &'n self,
        one: impl FnOnce(&'n str) -> ipc_shm::Result<A>,
        other: impl FnOnce(&'n str) -> ipc_shm::Result<B>,
    ) -> ipc_shm::Result<(A, B)> {
        let _ = ipc_shm::stat(&self.name);
        let ends = one(&self.name).and_then(|one| Ok((one, other(&self.name)?)));
        self.change(&self.input.after);
        let _ = ipc_shm::stat(&self.name);
        if self.input.watched {
            let _ = (ipc_shm::holders(), ipc_shm::list());
        }
        ends
    }

    fn change(&self, changes: &[Change]) {
        let mut image = vec![0; self.len];
        self.file.read_exact_at(&mut image, 0).expect("our own file");
        for one in changes {
            let at = apply(&mut image, one);
            self.file.write_all_at(&image[at..at + 8], at as u64).expect("our own file");
        }
    }
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(format!("/dev/shm/{}", self.name));
    }
}

/// The invitation to sealed memory of the same image, changed.
fn forged<E: ipc_shm::End>(invitation: Invitation<E>, changes: &[Change]) -> ipc_shm::Result<Invitation<E>> {
    let mut descriptors = Vec::<OwnedFd>::from(invitation);
    let good = File::from(descriptors.remove(0));
    let mut image = vec![0; good.metadata().expect("our own").len() as usize];
    good.read_exact_at(&mut image, 0).expect("our own");
    change(&mut image, changes);
    let made =
        memfd_create(c"forged", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).expect("a descriptor");
    let mut file = File::from(made);
    file.write_all(&image).expect("room");
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_FUTURE_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).expect("no seal forbids it");
    let sent = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("our own");
    descriptors.insert(0, sent.into());
    Invitation::try_from(descriptors)
}

fn change(image: &mut [u8], changes: &[Change]) {
    for one in changes {
        apply(image, one);
    }
}

/// Changes one word, and says where it is.
fn apply(image: &mut [u8], change: &Change) -> usize {
    let at = usize::from(change.word) % (image.len() / 8) * 8;
    let word: &mut [u8; 8] = (&mut image[at..at + 8]).try_into().expect("eight bytes");
    let old = u64::from_ne_bytes(*word);
    let new = match change.to {
        To::Value(value) => value,
        To::Further(by) => old.wrapping_add_signed(by.into()),
        To::OtherBit(bit) => old ^ 1 << (bit % 64),
    };
    *word = new.to_ne_bytes();
    at
}
