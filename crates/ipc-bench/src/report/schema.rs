//! The JSON as it was promised, field by field, held against what is written and against the committed run.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::machine::Machine;
use crate::report::{Percentiles, Report, Rival, Row, Run};

#[derive(Deserialize)]
struct Promised {
    machine: BTreeMap<String, Value>,
    cells: Vec<PromisedCell>,
}

#[derive(Deserialize)]
struct PromisedCell {
    mechanism: String,
    payload: u64,
    kind: String,
    cores: String,
    wait: String,
    ns: Option<Ns>,
    ns_per_message: Option<f64>,
    bytes_per_second: Option<f64>,
    syscalls_per_message: Option<f64>,
    x_raw: Option<f64>,
    x_limit: Option<f64>,
    peers: BTreeMap<String, PromisedPeer>,
    blocks: u64,
    dropped: u64,
    note: Option<String>,
}

#[derive(Deserialize)]
struct Ns {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
    mean: f64,
}

#[derive(Deserialize)]
struct PromisedPeer {
    version: String,
    mode: String,
    ratio: Option<f64>,
    low: f64,
    high: f64,
}

const MECHANISMS: [&str; 21] = [
    "pipe",
    "packet-pipe",
    "framed-pipe",
    "fifo",
    "uds-stream",
    "uds-seqpacket",
    "uds-datagram",
    "tcp",
    "sysv-queue",
    "sysv-semaphore",
    "signal",
    "eventfd",
    "posix-shm",
    "sysv-shm",
    "spsc",
    "bytes",
    "mpsc",
    "mpmc",
    "broadcast",
    "latest",
    "request",
];

/// Every field is there under its name: serde lets an `Option` be missing, so that the names are looked up, too.
fn read(text: &str) -> Promised {
    let value: Value = serde_json::from_str(text).unwrap();
    let names =
        ["ns", "ns_per_message", "bytes_per_second", "syscalls_per_message", "x_raw", "x_limit", "peers"];
    for cell in value["cells"].as_array().unwrap() {
        names.iter().for_each(|name| assert!(cell.get(name).is_some(), "{name} is missing in {cell}"));
    }
    serde_json::from_value(value).unwrap()
}

#[test]
fn what_is_written_has_the_promised_names() {
    let cell =
        Cell { mechanism: "spsc", payload: 8, kind: Kind::Latency, cores: Cores::Two, wait: Wait::Spin };
    let mut row = Row::empty(&cell, "");
    row.ns = Some(Percentiles { p50: 1, p99: 2, p999: 3, max: 4, mean: 1.5 });
    let (version, mode) = ("0.10.0".to_owned(), "polled".to_owned());
    let rival = Rival { version, mode, ratio: Some(0.2), low: 0.1, high: 0.3, ns: 400.0 };
    row.peers.insert("iceoryx2".to_owned(), rival);
    (row.blocks, row.dropped) = (12, 1);
    let version = String::new();
    let run = Run { version, time: 0, seconds: 1.0, quick: false, full: false, peers: true };
    let report = Report { machine: Machine::look(), cells: vec![row], promises: Vec::new(), run };
    let read = read(&serde_json::to_string(&report).unwrap());
    let cell = &read.cells[0];
    let words =
        (cell.mechanism.as_str(), cell.payload, cell.kind.as_str(), cell.cores.as_str(), cell.wait.as_str());
    assert_eq!(words, ("spsc", 8, "latency", "two", "spin"));
    let ns = cell.ns.as_ref().unwrap();
    assert_eq!([ns.p50, ns.p99, ns.p999, ns.max, ns.mean], [1.0, 2.0, 3.0, 4.0, 1.5]);
    let peer = &cell.peers["iceoryx2"];
    assert_eq!((peer.version.as_str(), peer.mode.as_str()), ("0.10.0", "polled"));
    assert_eq!((peer.ratio, peer.low, peer.high), (Some(0.2), 0.1, 0.3));
    assert_eq!((cell.blocks, cell.dropped), (12, 1));
    for fact in ["cpu", "kernel", "cores", "placement", "governor", "hypervisor", "huge_pages", "mitigations"]
    {
        assert!(read.machine.contains_key(fact), "{fact}");
    }
}

#[test]
fn the_committed_run_has_every_mechanism_and_every_figure() {
    let read = read(include_str!("../../../../docs/performance/bench.json"));
    for mechanism in MECHANISMS {
        assert!(read.cells.iter().any(|cell| cell.mechanism == mechanism), "{mechanism}");
        assert_eq!(
            crate::mechanism::named(mechanism).map(crate::mechanism::Mechanism::name),
            Some(mechanism)
        );
    }
    for cell in read.cells.iter().filter(|cell| cell.note.is_none()) {
        let figures = [cell.ns_per_message, cell.bytes_per_second, cell.syscalls_per_message];
        assert!(
            figures.iter().all(Option::is_some) && cell.ns.is_some(),
            "{} {}",
            cell.mechanism,
            cell.payload
        );
        assert!(cell.blocks > 0);
    }
    assert!(read.cells.iter().any(|cell| cell.x_raw.is_some() && cell.x_limit.is_some()));
}
