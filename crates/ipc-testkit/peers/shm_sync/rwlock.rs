//! Processes that read, write, and die with a read-write lock.

use std::sync::atomic::Ordering;

use ipc_shm::Error;
use ipc_testkit::crash;
use ipc_testkit::role::{Result, Role, hear, say};

use crate::mutex::open;
use ipc_testkit::locks::{Everything, add};

pub(crate) const ROLES: &[Role] = &[
    ("read", read),
    ("naive-read", naive_read),
    ("write", write),
    ("hold-read", hold_read),
    ("reader", reader),
    ("writer", writer),
];

/// `read NAME`: reads once, and may die at each instruction of it.
fn read(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let table = &shared.get()?.table;
    crash::begin();
    let guard = table.read()?;
    let equal = guard[0] == guard[1];
    drop(guard);
    crash::end();
    if equal { Ok(()) } else { Err("torn".into()) }
}

/// `naive-read NAME`: the same by a count of readers.
fn naive_read(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let naive = &shared.get()?.naive;
    crash::begin();
    naive.first.fetch_add(1, Ordering::Acquire);
    let _ = naive.second.load(Ordering::Relaxed);
    naive.first.fetch_sub(1, Ordering::Release);
    crash::end();
    Ok(())
}

/// `write NAME`: adds to both numbers once.
fn write(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let table = &shared.get()?.table;
    crash::begin();
    let mut guard = table.write().or_else(|error| error.repair(|_| ()))?;
    add(&mut guard);
    drop(guard);
    crash::end();
    Ok(())
}

/// `hold-read NAME`: reads until it is told otherwise.
fn hold_read(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let _guard = shared.get()?.table.read()?;
    say("reading")?;
    hear().map(drop)
}

/// `reader NAME`: reads for ever.
fn reader(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let table = &shared.get()?.table;
    say("ready")?;
    loop {
        match table.read() {
            Ok(guard) if guard[0] != guard[1] => say("torn")?,
            Ok(_) | Err(Error::OwnerDied) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// `writer NAME`: adds for ever, repairing what others left.
fn writer(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let table = &shared.get()?.table;
    say("ready")?;
    loop {
        let mut guard = table.write().or_else(|error| error.repair(|pair| pair[0] = pair[1]))?;
        add(&mut guard);
    }
}
