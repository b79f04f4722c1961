//! iceoryx2: publish and subscribe over its own shared memory, loaned samples, polled.

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::cell::{Cell, Wait};
use crate::end::{End, Side, check};
use crate::meet::Meet;
use crate::peers::Peer;
use crate::raw::shared::capacity;

pub(crate) struct Iceoryx;

impl Peer for Iceoryx {
    fn name(&self) -> &'static str {
        "iceoryx2"
    }

    fn mode(&self, _: &Cell) -> String {
        "publish-subscribe, loaned, polled; sent again where the buffer is full".to_owned()
    }

    fn fits(&self, cell: &Cell) -> bool {
        cell.mechanism == "spsc" && cell.wait == Wait::Spin
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, _: [usize; 2]) -> Box<dyn Side> {
        by_words!(cell.words(), N => side::<N>(cell, meet))
    }
}

fn side<const N: usize>(cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
    set_log_level(LogLevel::Fatal);
    let [near] = meet.numbers(|| [std::process::id().into()]);
    let node = NodeBuilder::new().create::<ipc::Service>().unwrap();
    let service = |way: &str| {
        let name = format!("ipc-bench/{near}/{way}");
        let builder =
            node.service_builder(&name.as_str().try_into().unwrap()).publish_subscribe::<[u64; N]>();
        let builder = builder.enable_safe_overflow(false).subscriber_max_buffer_size(capacity(cell).min(256));
        builder.history_size(0).max_publishers(1).max_subscribers(1).open_or_create().unwrap()
    };
    if !meet.is_near() {
        meet.together();
    }
    let (to, back) = (service("to"), service("back"));
    if meet.is_near() {
        meet.together();
    }
    let (own, other) = if meet.is_near() { (to, back) } else { (back, to) };
    let publisher =
        own.publisher_builder().backpressure_strategy(BackpressureStrategy::DiscardData).create().unwrap();
    let subscriber = other.subscriber_builder().create().unwrap();
    meet.together();
    Box::new(Ends::<N> { publisher, subscriber, _node: node })
}

struct Ends<const N: usize> {
    publisher: Publisher<ipc::Service, [u64; N], ()>,
    subscriber: Subscriber<ipc::Service, [u64; N], ()>,
    _node: Node<ipc::Service>,
}

impl<const N: usize> End for Ends<N> {
    fn send(&mut self, turn: u64) {
        loop {
            let sample = self.publisher.loan_uninit().unwrap().write_payload([turn; N]);
            if sample.send().unwrap() == 1 {
                break;
            }
            std::hint::spin_loop();
        }
    }

    fn receive(&mut self, turn: u64) {
        loop {
            match self.subscriber.receive().unwrap() {
                Some(sample) => return check(&sample[..], turn),
                None => std::hint::spin_loop(),
            }
        }
    }
}
