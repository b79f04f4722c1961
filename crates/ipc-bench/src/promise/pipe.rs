//! Pipes: our calls against the bare ones, many frames a write against one, a large pipe against the default, pages
//! that are lent or given against bytes that are copied.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::Instant;

use ipc_pipe::frame::{FrameReader, FrameWriter, Gather};
use ipc_pipe::{Pages, PipeOptions, PipeReader, PipeWriter};

use super::Bound::{AtLeast, Parity, Stated};
use super::{Promised, pair};

/// Where a line says `times`, what we improve on comes first.
pub(crate) const PROMISES: &[Promised] = &[
    // Ours never dies by SIGPIPE; what that costs is stated, and C that makes the same promise is what we are held against.
    Promised::ratio("pipe write and read 64 B, ours to C without SIGPIPE", Parity, ours::<64>, flagged::<64>),
    Promised::ratio(
        "pipe write and read 4 KiB, ours to C without SIGPIPE",
        Parity,
        ours::<4096>,
        flagged::<4096>,
    ),
    Promised::ratio("pipe write and read 64 B, ours to libc", Stated, ours::<64>, libc::<64>),
    Promised::ratio("pipe write and read 4 KiB, ours to libc", Stated, ours::<4096>, libc::<4096>),
    Promised::ratio("pipe 64 B, C without SIGPIPE to libc", Stated, flagged::<64>, libc::<64>),
    Promised::ratio("pipe 4 KiB, C without SIGPIPE to libc", Stated, flagged::<4096>, libc::<4096>),
    Promised::ratio(
        "frame 64 B between processes, a write each to 64 a write, times",
        AtLeast(30.0),
        || carried(Gather::NONE),
        || carried(Gather::count(64)),
    ),
    // Where nobody reads meanwhile the kernel's pages for 64 of them are most of it: C's ratio is no better.
    Promised::ratio(
        "frame 64 B, the writing alone, times",
        Stated,
        || frames(Gather::NONE),
        || frames(Gather::count(64)),
    ),
    Promised::ratio(
        "frame 64 B, 64 a write, ours to C's copies",
        Stated,
        || frames(Gather::count(64)),
        copied,
    ),
    Promised::ratio(
        "pipe 64 KiB messages, 64 KiB to 1 MiB, times",
        AtLeast(1.5),
        || stream(None, 1 << 16),
        || stream(LARGE, 1 << 16),
    ),
    Promised::ratio(
        "pipe 1 MiB messages, 64 KiB to 1 MiB, times",
        AtLeast(1.5),
        || stream(None, 1 << 20),
        || stream(LARGE, 1 << 20),
    ),
    Promised::ratio(
        "pipe 64 KiB, write to vmsplice, times",
        AtLeast(3.0),
        || written(1 << 16),
        || spliced(1 << 16),
    ),
    Promised::ratio(
        "pipe 1 MiB, write to vmsplice, times",
        AtLeast(3.0),
        || written(1 << 20),
        || spliced(1 << 20),
    ),
    Promised::ratio(
        "pipe 64 KiB, fill and write to gift, times",
        Stated,
        || filled(1 << 16),
        || given(1 << 16),
    ),
    Promised::ratio(
        "pipe 1 MiB, fill and write to gift, times",
        Stated,
        || filled(1 << 20),
        || given(1 << 20),
    ),
];

const LARGE: Option<usize> = Some(1 << 20);
const ROUNDS: u64 = 1000;

fn ours<const N: usize>() -> f64 {
    let (reader, writer) = ipc_pipe::pipe().unwrap();
    let mut bytes = [7; N];
    pair::time(ROUNDS, || {
        assert_eq!((&writer).write(&bytes).unwrap(), N);
        assert_eq!((&reader).read(&mut bytes).unwrap(), N);
    })
}

fn libc<const N: usize>() -> f64 {
    let (reader, writer) = ipc_pipe::pipe().unwrap();
    let mut bytes = [7; N];
    pair::time(ROUNDS, || {
        // SAFETY: N bytes to read from.
        assert_eq!(unsafe { libc::write(writer.as_raw_fd(), bytes.as_ptr().cast(), N) }, N.cast_signed());
        // SAFETY: room for N bytes.
        assert_eq!(unsafe { libc::read(reader.as_raw_fd(), bytes.as_mut_ptr().cast(), N) }, N.cast_signed());
    })
}

/// C that makes the same promise, pwritev2(RWF_NOSIGNAL): tells the price of the promise from the price of Rust.
fn flagged<const N: usize>() -> f64 {
    let (reader, writer) = ipc_pipe::pipe().unwrap();
    let mut bytes = [7; N];
    pair::time(ROUNDS, || {
        let iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: N };
        let flags = ipc_sys::pipe::RWF_NOSIGNAL;
        // SAFETY: one iovec, which leads to N bytes.
        let len = unsafe { libc::pwritev2(writer.as_raw_fd(), &raw const iov, 1, -1, flags) };
        assert_eq!(len, N.cast_signed());
        // SAFETY: room for N bytes.
        assert_eq!(unsafe { libc::read(reader.as_raw_fd(), bytes.as_mut_ptr().cast(), N) }, N.cast_signed());
    })
}

/// The writing of 512 frames of 64 bytes.
fn frames(gather: Gather) -> f64 {
    let (reader, writer) = ipc_pipe::pipe().unwrap();
    let mut frames = FrameWriter::gathering(&writer, 1024, gather);
    let mut drained = vec![0; 1 << 16];
    pair::time_first(
        10,
        || (0..512).for_each(|_| frames.send(&[7; 64]).unwrap()),
        || assert_eq!((&reader).read(&mut drained).unwrap(), 512 * 68),
    )
}

/// The same bytes put together and written by hand.
fn copied() -> f64 {
    let (reader, writer) = ipc_pipe::pipe().unwrap();
    let (mut gathered, mut drained) = ([0; 64 * 68], vec![0; 1 << 16]);
    let payload = std::hint::black_box([7_u8; 64]);
    pair::time_first(
        10,
        || {
            for _ in 0..8 {
                for frame in gathered.chunks_exact_mut(68) {
                    let (header, bytes) = frame.split_at_mut(4);
                    header.copy_from_slice(&64_u32.to_be_bytes());
                    bytes.copy_from_slice(std::hint::black_box(&payload));
                }
                let iov = libc::iovec { iov_base: gathered.as_mut_ptr().cast(), iov_len: gathered.len() };
                let flags = ipc_sys::pipe::RWF_NOSIGNAL;
                // SAFETY: one iovec, which leads to as many bytes as it says.
                let len = unsafe { libc::pwritev2(writer.as_raw_fd(), &raw const iov, 1, -1, flags) };
                assert_eq!(len, gathered.len().cast_signed());
            }
        },
        || assert_eq!((&reader).read(&mut drained).unwrap(), 512 * 68),
    )
}

/// Frames of 64 bytes from one process to another.
fn carried(gather: Gather) -> f64 {
    const COUNT: u64 = 20_000;
    let (reader, writer) = ipc_pipe::pipe().unwrap();
    pair::run(
        1,
        COUNT,
        move || {
            let mut frames = FrameWriter::gathering(writer, 1024, gather);
            (0..COUNT + 64).for_each(|_| frames.send(&[7; 64]).unwrap());
        },
        move || {
            let mut frames = FrameReader::new(reader, 1024);
            assert!((0..64).all(|_| frames.recv().unwrap().is_some()));
            let start = Instant::now();
            assert!((0..COUNT).all(|_| frames.recv().unwrap().is_some()));
            start
        },
    )
}

/// Some MiB from one process to another, in messages of `len` bytes.
fn stream(capacity: Option<usize>, len: usize) -> f64 {
    const TOTAL: usize = 8 << 20;
    let (mut reader, mut writer) = pipe(capacity);
    pair::run(
        1,
        TOTAL as u64,
        move || {
            let message = vec![7; len];
            (0..=TOTAL / len).for_each(|_| writer.write_all(&message).unwrap());
        },
        move || {
            let mut message = vec![0; len];
            reader.read_exact(&mut message).unwrap();
            let start = Instant::now();
            (0..TOTAL / len).for_each(|_| reader.read_exact(&mut message).unwrap());
            start
        },
    )
}

fn pipe(capacity: Option<usize>) -> (PipeReader, PipeWriter) {
    let options = PipeOptions::new();
    capacity.map_or(options.clone(), |bytes| options.capacity(bytes)).create().unwrap()
}

/// The sending alone of `len` bytes that stay as they are: the reader's copy is not counted.
fn written(len: usize) -> f64 {
    let bytes = vec![7; len];
    sending(len, |writer| assert_eq!(writer.write(&bytes).unwrap(), len))
}

fn spliced(len: usize) -> f64 {
    let mut pages = Pages::new(len).unwrap();
    pages.fill(7);
    let pages = pages.freeze().unwrap();
    sending(len, |writer| assert_eq!(writer.vmsplice(&pages, 0).unwrap(), len))
}

/// Other bytes each time, in the same memory.
fn filled(len: usize) -> f64 {
    let mut bytes = vec![7; len];
    sending(len, |writer| {
        std::hint::black_box(&mut bytes).fill(8);
        assert_eq!(writer.write(&bytes).unwrap(), len);
    })
}

/// Other bytes each time, each time in fresh pages, which are mapped and unmapped.
fn given(len: usize) -> f64 {
    sending(len, |writer| {
        let mut pages = Pages::new(len).unwrap();
        pages.fill(8);
        writer.gift(pages).unwrap();
    })
}

fn sending(len: usize, mut send: impl FnMut(&mut &PipeWriter)) -> f64 {
    let (mut reader, writer) = pipe(Some(len));
    let mut drained = vec![0; len];
    pair::time_first(20, || send(&mut &writer), || reader.read_exact(&mut drained).unwrap())
}
