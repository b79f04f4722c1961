//! A pipe and a FIFO against a queue of bytes: whatever is called in whatever order, what went in comes out, once and in
//! order.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::time::Duration;

use ipc_pipe::{Error, Fifo, PIPE_BUF, Pages, PipeEnd, PipeReader, PipeWriter, pipe};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    TryWrite(usize),
    WriteTimeout(usize),
    Atomic(usize),
    Gift(usize),
    TryRead(usize),
    Read(usize),
    Tee(usize),
    Capacity(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = || prop_oneof![1_usize..20, 1_usize..5000, 60_000_usize..70_000];
    let step = prop_oneof![
        len().prop_map(Step::TryWrite),
        len().prop_map(Step::WriteTimeout),
        (1_usize..5000).prop_map(Step::Atomic),
        (1_usize..9000).prop_map(Step::Gift),
        len().prop_map(Step::TryRead),
        len().prop_map(Step::Read),
        len().prop_map(Step::Tee),
        (1_usize..200_000).prop_map(Step::Capacity),
    ];
    vec(step, 1..60)
}

/// The bytes that are written, each different from its neighbours.
struct Source(u32);

impl Source {
    fn next(&mut self, len: usize) -> Vec<u8> {
        (0..len)
            .map(|_| {
                self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                self.0.to_be_bytes()[0]
            })
            .collect()
    }
}

fn follow(mut reader: PipeReader, mut writer: PipeWriter, steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut model, mut source) = (VecDeque::new(), Source(7));
    for step in steps {
        match step {
            Step::TryWrite(len) | Step::WriteTimeout(len) => {
                let bytes = source.next(*len);
                let written = match step {
                    Step::TryWrite(_) => writer.try_write(&bytes),
                    _ => writer.write_timeout(&bytes, Duration::ZERO),
                };
                match written {
                    Ok(len) => {
                        prop_assert!(len > 0 && (len == bytes.len() || bytes.len() > PIPE_BUF));
                        model.extend(&bytes[..len]);
                    }
                    Err(Error::Full | Error::TimedOut { .. }) => prop_assert!(!model.is_empty()),
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
            Step::Atomic(len) => {
                let bytes = source.next(*len);
                match writer.try_write_atomic(&bytes) {
                    Ok(()) => model.extend(&bytes),
                    Err(Error::TooLong { .. }) => prop_assert!(bytes.len() > PIPE_BUF),
                    Err(Error::Full) => prop_assert!(!model.is_empty()),
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
            Step::Gift(len) => {
                // Only where it cannot wait: an empty pipe of a page a slot has room for three pages.
                if model.is_empty() && writer.capacity().unwrap() >= 16_384 {
                    let mut pages = Pages::new(*len).unwrap();
                    pages.copy_from_slice(&source.next(*len));
                    model.extend(pages.iter());
                    writer.gift(pages).unwrap();
                }
            }
            Step::TryRead(len) => {
                let mut bytes = vec![0; *len];
                match reader.try_read(&mut bytes) {
                    Err(Error::Empty) => prop_assert!(model.is_empty()),
                    Err(error) => prop_assert!(false, "{error}"),
                    Ok(len) => {
                        prop_assert!(len > 0 && model.drain(..len).eq(bytes[..len].iter().copied()));
                    }
                }
            }
            Step::Read(len) => {
                if !model.is_empty() {
                    let mut bytes = vec![0; *len];
                    let len = reader.read(&mut bytes).unwrap();
                    prop_assert!(len > 0);
                    prop_assert!(model.drain(..len).eq(bytes[..len].iter().copied()));
                }
            }
            Step::Tee(len) => {
                let (mut copied, copy) = pipe().unwrap();
                match reader.try_tee(&copy, *len) {
                    Err(Error::Empty) => prop_assert!(model.is_empty()),
                    Err(error) => prop_assert!(false, "{error}"),
                    Ok(len) => {
                        let mut bytes = vec![0; len];
                        copied.read_exact(&mut bytes).unwrap();
                        prop_assert!(bytes.iter().eq(model.iter().take(len)));
                    }
                }
            }
            Step::Capacity(bytes) => match writer.set_capacity(*bytes) {
                Ok(obtained) => prop_assert!(obtained >= *bytes && obtained == reader.capacity().unwrap()),
                Err(Error::CapacityInUse { .. }) => prop_assert!(!model.is_empty()),
                Err(Error::CapacityDenied { .. }) => {}
                Err(error) => prop_assert!(false, "{error}"),
            },
        }
        prop_assert_eq!(reader.readable().unwrap(), model.len());
    }
    writer.flush().unwrap();
    drop(writer);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    prop_assert!(model.into_iter().eq(rest));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_pipe_is_a_queue_of_bytes(steps in steps()) {
        let (reader, writer) = pipe().unwrap();
        follow(reader, writer, &steps)?;
    }

    #[test]
    fn a_fifo_is_a_queue_of_bytes(steps in steps()) {
        let path = std::env::temp_dir().join(format!("ipc-pipe-{}-queue", std::process::id()));
        let fifo = Fifo::create(path).unwrap().unlink_on_drop();
        let reader = fifo.try_reader().unwrap();
        follow(reader, fifo.try_writer().unwrap(), &steps)?;
    }
}
