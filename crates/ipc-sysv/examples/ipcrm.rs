//! Removes message queues, segments and semaphore sets, by id or by key, as util-linux's `ipcrm` does. It needs no other
//! side.

use std::process::ExitCode;

use ipc_example::{Arguments, Result};
use ipc_sysv::{
    Key, MessageQueue, MessageQueueOptions, Segment, SegmentOptions, SemaphoreSet, SemaphoreSetOptions,
};

#[path = "classic/key.rs"]
#[expect(dead_code, reason = "the other programs use the rest")]
mod key;

const HELP: &str = "
Usage: ipcrm (-q ID | -m ID | -s ID | -Q KEY | -M KEY | -S KEY)...

Removes a message queue (-q, -Q), a shared memory segment (-m, -M), a semaphore set (-s, -S), by id or by key (1234 or
0x4d2). Nothing is removed unless all of them are there.
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let mut queues = all(arguments, "-q", MessageQueue::from_id)?;
        queues.extend(all_with_key(arguments, "-Q", |key| MessageQueueOptions::new().mode(0).open(key))?);
        let mut segments = all(arguments, "-m", Segment::from_id)?;
        segments.extend(all_with_key(arguments, "-M", |key| SegmentOptions::new().mode(0).open(key, 0))?);
        let mut sets = all(arguments, "-s", SemaphoreSet::from_id)?;
        let open_set = |key| SemaphoreSetOptions::new().mode(0).as_it_is(true).open(key);
        sets.extend(all_with_key(arguments, "-S", open_set)?);
        arguments.finish()?;
        if queues.len() + segments.len() + sets.len() == 0 {
            return Err("nothing to remove was given; see --help".into());
        }

        queues.iter().try_for_each(MessageQueue::remove)?;
        segments.iter().try_for_each(Segment::remove)?;
        Ok(sets.iter().try_for_each(SemaphoreSet::remove)?)
    })
}

/// Every `option ID` of the command line, opened.
fn all<T>(
    arguments: &mut Arguments,
    option: &'static str,
    open: impl Fn(i32) -> ipc_sysv::Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    while let Some(id) = arguments.option(option)? {
        found.push(open(id)?);
    }
    Ok(found)
}

/// Every `option KEY` of the command line, opened.
fn all_with_key<T>(
    arguments: &mut Arguments,
    option: &'static str,
    open: impl Fn(Key) -> ipc_sysv::Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    while let Some(key) = arguments.option(option)? {
        found.push(open(key::shared(key)?)?);
    }
    Ok(found)
}
