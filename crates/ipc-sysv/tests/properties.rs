//! What holds for all inputs, against a model: memory against an array, queues against a list, sets against a row of numbers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use ipc_sysv::{
    Key, MessageBuffer, MessageQueue, MessageType, Op, RemoveOnDrop, Segment, Select, SemaphoreSet,
};
use proptest::prelude::*;

/// A key that tells of which run the object is, as those of the test kit do: a run that is cut short leaves nothing.
fn key() -> Key {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let serial = NEXT.fetch_add(1, Ordering::Relaxed) & 0xff;
    Key::new(i32::from_ne_bytes(
        (0x4900_0000 ^ ((std::process::id() << 8) & 0x3fff_ff00) ^ serial).to_ne_bytes(),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_key_is_read_as_it_is_written(number: i32) {
        let key = Key::new(number);
        prop_assert_eq!(key.to_string().parse(), Ok(key));
        prop_assert_eq!(number.to_string().parse(), Ok(key));
    }

    #[test]
    fn bytes_go_in_and_come_out(
        len in 1_usize..200,
        writes in prop::collection::vec((0_usize..220, prop::collection::vec(any::<u8>(), 0..40)), 1..30),
    ) {
        let memory = Segment::ephemeral(len).unwrap();
        let mut model = vec![0; len];
        for (offset, bytes) in writes {
            let fits = offset + bytes.len() <= len;
            prop_assert_eq!(memory.write_at(offset, &bytes).is_ok(), fits);
            if fits {
                model[offset..offset + bytes.len()].copy_from_slice(&bytes);
            }
            let mut found = vec![1; len];
            memory.read_at(0, &mut found).unwrap();
            prop_assert_eq!(&found, &model);
            let mut part = vec![0; bytes.len()];
            prop_assert_eq!(memory.read_at(offset, &mut part).is_ok(), fits);
            prop_assert!(!fits || part == bytes);
        }
    }

    #[test]
    fn a_queue_is_a_list(
        steps in prop::collection::vec((any::<bool>(), 1_i64..5, -4_i64..5, 0_usize..600), 1..100),
    ) {
        let queue = RemoveOnDrop::new(MessageQueue::create(key()).unwrap());
        let mut model: VecDeque<(i64, Vec<u8>)> = VecDeque::new();
        let mut buffer = MessageBuffer::limited(1, 1000);
        for (sends, kind, msgtyp, len) in steps {
            if sends {
                let body = vec![7; len];
                if queue.try_send(MessageType::new(kind).unwrap(), &body).is_ok() {
                    model.push_back((kind, body));
                }
                continue;
            }
            let wanted = |(at, (kind, _)): (usize, &(i64, Vec<u8>))| match msgtyp {
                0 => Some((0, at)),
                1.. => (*kind == msgtyp).then_some((0, at)),
                _ => (*kind <= -msgtyp).then_some((*kind, at)),
            };
            let at = model.iter().enumerate().filter_map(wanted).min().map(|(_, at)| at);
            let expected = at.and_then(|at| model.remove(at));
            let received = queue.try_recv(Select::from(msgtyp), &mut buffer);
            let received = received.ok().map(|message| (message.kind().get(), message.body().to_vec()));
            prop_assert_eq!(received, expected);
        }
        let stat = queue.stat().unwrap();
        prop_assert_eq!(stat.messages, model.len() as u64);
        prop_assert_eq!(stat.bytes, model.iter().map(|(_, body)| body.len() as u64).sum::<u64>());
    }

    #[test]
    fn operations_are_all_done_or_none(
        first in prop::collection::vec(0_u16..4, 3),
        steps in prop::collection::vec(prop::collection::vec((0_u16..4, -3_i16..4), 1..5), 1..30),
    ) {
        let set = RemoveOnDrop::new(SemaphoreSet::create(key(), &first).unwrap());
        let mut model: Vec<i32> = first.iter().map(|value| i32::from(*value)).collect();
        for step in steps {
            let ops: Vec<Op> = step.iter().map(|&(index, change)| match change {
                0 => Op::wait_for_zero(index),
                1.. => Op::add(index, change.unsigned_abs()),
                _ => Op::subtract(index, change.unsigned_abs()),
            }).collect();
            let mut after = model.clone();
            let possible = step.iter().all(|&(index, change)| match after.get_mut(usize::from(index)) {
                Some(value) if change == 0 => *value == 0,
                Some(value) => {
                    *value += i32::from(change);
                    *value >= 0
                }
                None => false,
            });
            prop_assert_eq!(set.try_op(&ops).is_ok(), possible);
            if possible {
                model = after;
            }
            let values: Vec<i32> = set.values().unwrap().into_iter().map(i32::from).collect();
            prop_assert_eq!(&values, &model);
        }
    }
}
