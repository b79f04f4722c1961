//! Readers and writers of the lossless broadcast.

use std::hint::black_box;
use std::sync::atomic::Ordering;

use ipc_shm::broadcast::lossless;
use ipc_shm::{Error, Wait};
use ipc_testkit::crash;
use ipc_testkit::role::{Result, Role, hear, say};

use crate::spsc::{wait_of, words_of_file};

/// A message whose words are all the same when it is whole.
type Block = [u64; 4];

pub(crate) const ROLES: &[Role] = &[
    ("lossless-reader", reader),
    ("lossless-visitor", visitor),
    ("lossless-writer", writer),
    ("lossless-step-read", step_read),
    ("lossless-step-write", step_write),
    ("lossless-join", join),
    ("lossless-join-naively", join_naively),
    ("lossless-looks-dead", looks_dead),
];

/// Reads to the end: how many came, and the first of them; whether all were whole and in order.
fn to_the_end(reader: &mut lossless::Reader<Block>, pace: u64) -> Result {
    let (mut first, mut came) = (None, 0_u64);
    loop {
        match reader.recv() {
            Ok(block) => {
                let first = *first.get_or_insert(block[0]);
                if block != [first + came; 4] {
                    return say(format_args!("torn or lost behind {came} from {first}: {block:?}"));
                }
                came += 1;
                for turn in 0..pace * 100 {
                    black_box(turn);
                }
            }
            Err(Error::Disconnected) => {
                let first = first.map_or_else(|| "none".to_owned(), |first| first.to_string());
                return say(format_args!("{first} {came}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// `lossless-reader NAME WAIT PACE`: reads to the end, working between two messages for as long as PACE says.
fn reader(arguments: &[String]) -> Result {
    let mut reader = lossless::Reader::open(&arguments[0])?;
    reader.set_wait(wait_of(&arguments[1]));
    say("ready")?;
    to_the_end(&mut reader, arguments[2].parse()?)
}

/// `lossless-visitor NAME`: joins, reads a few messages, leaves, again and again until the writer has gone.
fn visitor(arguments: &[String]) -> Result {
    say("ready")?;
    let (mut visits, mut got) = (0_u64, 0_u64);
    loop {
        let mut reader = match lossless::Reader::<Block>::open(&arguments[0]) {
            Ok(reader) => reader,
            Err(Error::NotFound { .. }) => return say(format_args!("{visits} {got}")),
            Err(error) => return Err(error.into()),
        };
        visits += 1;
        let mut next = None;
        for _ in 0..visits % 40 {
            match reader.recv() {
                Ok(block) if block == [next.unwrap_or(block[0]); 4] => next = Some(block[0] + 1),
                Ok(block) => return say(format_args!("torn or lost: {block:?} for {next:?}")),
                Err(Error::Disconnected) => break,
                Err(error) => return Err(error.into()),
            }
            got += 1;
        }
    }
}

/// `lossless-writer NAME FROM COUNT`: writes COUNT messages, from FROM on.
fn writer(arguments: &[String]) -> Result {
    let mut writer = lossless::Writer::open(&arguments[0])?;
    writer.persist();
    say("ready")?;
    let from: u64 = arguments[1].parse()?;
    for message in from..from.saturating_add(arguments[2].parse()?) {
        writer.write(&[message; 4])?;
    }
    Ok(())
}

/// `lossless-step-read NAME`: joins, reads a message that the writer may have written, waits for one that does not come, and
/// leaves.
fn step_read(arguments: &[String]) -> Result {
    crash::begin();
    let mut reader = lossless::Reader::<Block>::open(&arguments[0])?;
    reader.set_wait(Wait::Park);
    let came = (reader.try_recv(), reader.try_recv());
    drop(reader);
    crash::end();
    drop(came);
    Ok(())
}

/// `lossless-step-write NAME`: one message, then a batch of two.
fn step_write(arguments: &[String]) -> Result {
    let mut writer = lossless::Writer::<Block>::open(&arguments[0])?;
    crash::begin();
    writer.write(&[0; 4])?;
    writer.write_batch(&[[1; 4], [2; 4]])?;
    crash::end();
    Ok(())
}

/// `lossless-join NAME`: joins while somebody writes, says so, then reads to the end.
fn join(arguments: &[String]) -> Result {
    crash::begin();
    let mut reader = lossless::Reader::open(&arguments[0])?;
    crash::end();
    say("joined")?;
    to_the_end(&mut reader, 0)
}

/// `lossless-join-naively NAME CAPACITY`: the same, as it is often done, on a file of two words: looks where the writer is, and
/// puts its cursor there. Says whether the writer has gone over what it begins with.
fn join_naively(arguments: &[String]) -> Result {
    let words = words_of_file(&arguments[0])?;
    let (written, cursor) = (&words[0], &words[1]);
    crash::begin();
    let pos = written.load(Ordering::Acquire);
    cursor.store(pos, Ordering::Release);
    crash::end();
    let capacity: u64 = arguments[1].parse()?;
    say(if written.load(Ordering::SeqCst) - pos > capacity { "lost" } else { "kept" })
}

/// `lossless-looks-dead NAME`: joins, and code that knows nothing of it unlocks the file that its lock is on.
fn looks_dead(arguments: &[String]) -> Result {
    let mut reader = lossless::Reader::<Block>::open(&arguments[0])?;
    crate::mpmc::unlock_all(&arguments[0])?;
    say("ready")?;
    hear()?;
    let error = loop {
        match reader.try_recv() {
            Ok(block) if block == [block[0]; 4] => {}
            Ok(block) => return say(format_args!("torn: {block:?}")),
            Err(error) => break error,
        }
    };
    say(error)?;
    say(matches!(reader.recv(), Err(Error::TakenAway)))
}
