//! What was promised against iceoryx2 and is no cell of the grid: blocks of 64 KiB, filled and read in place.
#![expect(unsafe_code, reason = "a loaned sample is filled where it lies")]

use std::sync::atomic::Ordering;
use std::time::Instant;

use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;

use super::Bound::AtMost;
use super::limit::shared;
use super::{Promised, pair, spsc};
use crate::end::check;

/// Ours to theirs: at least as many a second.
pub(super) const PROMISES: &[Promised] = &[Promised::ratio(
    "spsc 64 KiB, filled and read in place, to iceoryx2",
    AtMost(1.0),
    spsc::in_place,
    blocks,
)];

const WORDS: usize = spsc::BLOCK;

fn service(node: &Node<ipc::Service>, name: &str) -> PortFactory<ipc::Service, [u64; WORDS], ()> {
    let builder = node.service_builder(&name.try_into().unwrap()).publish_subscribe::<[u64; WORDS]>();
    let builder =
        builder.enable_safe_overflow(false).subscriber_max_buffer_size(spsc::BLOCKS).history_size(0);
    builder.max_publishers(1).max_subscribers(1).open_or_create().unwrap()
}

/// Publish and subscribe, polled.
fn blocks() -> f64 {
    const COUNT: u64 = spsc::COUNT;
    let name = format!("ipc-bench/{}/in-place", std::process::id());
    let node = || {
        set_log_level(LogLevel::Fatal);
        NodeBuilder::new().create::<ipc::Service>().unwrap()
    };
    // 1: the receiver is there; 2: it has received everything.
    let state = &shared(4096)[0];
    let until = |wanted| {
        while state.load(Ordering::Acquire) < wanted {
            std::hint::spin_loop();
        }
    };
    pair::run(
        1,
        COUNT,
        || {
            until(1);
            let node = node();
            let service = service(&node, &name);
            let publisher = service.publisher_builder();
            let publisher =
                publisher.backpressure_strategy(BackpressureStrategy::DiscardData).create().unwrap();
            for turn in 0..COUNT + spsc::WARM {
                loop {
                    let mut sample = publisher.loan_uninit().unwrap();
                    let words: *mut [u64; WORDS] = sample.payload_mut().as_mut_ptr();
                    // SAFETY: the loaned sample's memory, which holds initialised bytes of a shared mapping.
                    unsafe { &mut *words }.fill(turn);
                    // SAFETY: every word was written above.
                    if unsafe { sample.assume_init() }.send().unwrap() == 1 {
                        break;
                    }
                    std::hint::spin_loop();
                }
            }
            until(2);
        },
        || {
            let node = node();
            let subscriber = service(&node, &name).subscriber_builder().create().unwrap();
            state.store(1, Ordering::Release);
            let mut start = Instant::now();
            for turn in 0..COUNT + spsc::WARM {
                if turn == spsc::WARM {
                    start = Instant::now();
                }
                loop {
                    match subscriber.receive().unwrap() {
                        Some(sample) => break check(&sample[..], turn),
                        None => std::hint::spin_loop(),
                    }
                }
            }
            let spent = start.elapsed();
            state.store(2, Ordering::Release);
            drop(subscriber);
            drop(node);
            Instant::now() - spent
        },
    )
}
