//! iceoryx2 over its own shared memory: publish and subscribe with loaned samples, polled, or with an event for each sample
//! where the receiver sleeps; request and response, polled.

use iceoryx2::port::client::Client;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::server::Server;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::cell::{Cell, Kind, Wait};
use crate::end::{End, Side, check};
use crate::meet::Meet;
use crate::peers::Peer;
use crate::raw::shared::capacity;

pub(crate) struct Iceoryx;

impl Peer for Iceoryx {
    fn name(&self) -> &'static str {
        "iceoryx2"
    }

    fn mode(&self, cell: &Cell) -> String {
        let mode = match (cell.mechanism, cell.wait) {
            ("request", _) => "request-response, loaned, polled",
            (_, Wait::Spin) => "publish-subscribe, loaned, polled; sent again where the buffer is full",
            _ => "publish-subscribe, loaned, and an event a sample, on which the receiver sleeps",
        };
        mode.to_owned()
    }

    fn fits(&self, cell: &Cell) -> bool {
        match (cell.mechanism, cell.wait) {
            ("spsc" | "request", Wait::Spin) => true,
            ("spsc", Wait::Park) => cell.kind == Kind::Latency,
            _ => false,
        }
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, _: [usize; 2]) -> Box<dyn Side> {
        set_log_level(LogLevel::Fatal);
        by_words!(cell.words(), N => match (cell.mechanism, cell.wait) {
            ("request", _) => requests::<N>(meet),
            (_, Wait::Spin) => Box::new(samples::<N>(capacity(cell), meet)),
            _ => Box::new(events::<N>(capacity(cell), meet)),
        })
    }
}

fn node() -> Node<ipc::Service> {
    NodeBuilder::new().create::<ipc::Service>().unwrap()
}

fn service_name(near: u64, way: &str) -> ServiceName {
    format!("ipc-bench/{near}/{way}").as_str().try_into().unwrap()
}

/// The near side makes what the far one opens.
fn in_turn<T>(meet: &mut Meet, make: impl FnOnce() -> T) -> T {
    if !meet.is_near() {
        meet.together();
    }
    let made = make();
    if meet.is_near() {
        meet.together();
    }
    made
}

/// Of a pair for the way to the far side and the way back: ours to send by, ours to receive by.
fn own<T>(meet: &Meet, (to, back): (T, T)) -> (T, T) {
    if meet.is_near() { (to, back) } else { (back, to) }
}

/// A sample is looked for again and again.
struct Samples<const N: usize> {
    publisher: Publisher<ipc::Service, [u64; N], ()>,
    subscriber: Subscriber<ipc::Service, [u64; N], ()>,
    node: Node<ipc::Service>,
}

fn samples<const N: usize>(capacity: usize, meet: &mut Meet) -> Samples<N> {
    let [near] = meet.numbers(|| [std::process::id().into()]);
    let node = node();
    let service = |way: &str| {
        let builder = node.service_builder(&service_name(near, way)).publish_subscribe::<[u64; N]>();
        let builder = builder.enable_safe_overflow(false).subscriber_max_buffer_size(capacity.min(256));
        builder.history_size(0).max_publishers(1).max_subscribers(1).open_or_create().unwrap()
    };
    let services = in_turn(meet, || (service("to"), service("back")));
    let (own, other) = own(meet, services);
    let publisher =
        own.publisher_builder().backpressure_strategy(BackpressureStrategy::DiscardData).create().unwrap();
    let subscriber = other.subscriber_builder().create().unwrap();
    meet.together();
    Samples { publisher, subscriber, node }
}

impl<const N: usize> Samples<N> {
    /// Whether a sample was there.
    fn look(&self, turn: u64) -> bool {
        let sample = self.subscriber.receive().unwrap();
        sample.as_ref().inspect(|sample| check(&sample[..], turn)).is_some()
    }
}

impl<const N: usize> End for Samples<N> {
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
        while !self.look(turn) {
            std::hint::spin_loop();
        }
    }
}

/// The same, with an event after each sample.
struct Events<const N: usize> {
    samples: Samples<N>,
    notifier: Notifier<ipc::Service>,
    listener: Listener<ipc::Service>,
}

fn events<const N: usize>(capacity: usize, meet: &mut Meet) -> Events<N> {
    let samples = samples(capacity, meet);
    let [near] = meet.numbers(|| [std::process::id().into()]);
    let service =
        |way: &str| samples.node.service_builder(&service_name(near, way)).event().open_or_create().unwrap();
    let services = in_turn(meet, || (service("to-event"), service("back-event")));
    let (own, other) = own(meet, services);
    let listener = other.listener_builder().create().unwrap();
    meet.together();
    let notifier = own.notifier_builder().create().unwrap();
    meet.together();
    Events { samples, notifier, listener }
}

impl<const N: usize> End for Events<N> {
    fn send(&mut self, turn: u64) {
        self.samples.send(turn);
        assert_eq!(self.notifier.notify().unwrap(), 1);
    }

    fn receive(&mut self, turn: u64) {
        while !self.samples.look(turn) {
            self.listener.blocking_wait(|_| {}).unwrap();
        }
    }
}

fn requests<const N: usize>(meet: &mut Meet) -> Box<dyn Side> {
    let [near] = meet.numbers(|| [std::process::id().into()]);
    let node = node();
    let service = in_turn(meet, || {
        let builder =
            node.service_builder(&service_name(near, "request")).request_response::<[u64; N], [u64; N]>();
        builder.max_clients(1).max_servers(1).open_or_create().unwrap()
    });
    let side: Box<dyn Side> = if meet.is_near() {
        meet.together();
        Box::new(Asks::<N> { client: service.client_builder().create().unwrap(), _node: node })
    } else {
        let server = service.server_builder().create().unwrap();
        meet.together();
        Box::new(Answers::<N> { server, _node: node })
    };
    meet.together();
    side
}

struct Asks<const N: usize> {
    client: Client<ipc::Service, [u64; N], (), [u64; N], ()>,
    _node: Node<ipc::Service>,
}

impl<const N: usize> End for Asks<N> {
    fn send(&mut self, _: u64) {}

    fn receive(&mut self, turn: u64) {
        let pending = self.client.loan_uninit().unwrap().write_payload([turn; N]).send().unwrap();
        loop {
            match pending.receive().unwrap() {
                Some(answer) => return check(&answer[..], turn),
                None => std::hint::spin_loop(),
            }
        }
    }
}

struct Answers<const N: usize> {
    server: Server<ipc::Service, [u64; N], (), [u64; N], ()>,
    _node: Node<ipc::Service>,
}

impl<const N: usize> End for Answers<N> {
    fn receive(&mut self, turn: u64) {
        let question = loop {
            match self.server.receive().unwrap() {
                Some(question) => break question,
                None => std::hint::spin_loop(),
            }
        };
        check(&question[..], turn);
        question.loan_uninit().unwrap().write_payload(*question).send().unwrap();
    }

    fn send(&mut self, _: u64) {}
}
