//! Opens channels by tag.

use ipc_shm::{MemoryOptions, broadcast, bytes, latest, spsc};
use ipc_testkit::role::{Result, Role, say};

pub(crate) const ROLES: &[Role] = &[("tag-opener", opener)];

/// `tag-opener KIND NAME TAG`: opens the receiving end or a reader and says `opened`, or why not.
fn opener(arguments: &[String]) -> Result {
    let options = MemoryOptions::new().tag(&*arguments[2]);
    let name = &arguments[1];
    let opened = match &*arguments[0] {
        "spsc" => spsc::Receiver::<u64>::open_with(name, &options).map(drop),
        "bytes" => bytes::Receiver::open_with(name, &options).map(drop),
        "latest" => latest::Reader::<u64>::open_with(name, &options).map(drop),
        _ => broadcast::Reader::<u64>::open_with(name, &options).map(drop),
    };
    match opened {
        Ok(()) => say("opened"),
        Err(error) => say(error),
    }
}
