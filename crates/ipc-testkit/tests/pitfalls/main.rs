//! The mistakes of the guide's page `pitfalls` that no other test holds: what the naive program does, and what ours does
//! in the same place.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod bytes;
mod signals;
mod system_v;

use std::io::Read;

use ipc_testkit::{name, peer, proof};
use ipc_uds::{Listener, Stream};

#[test]
fn g8_a_path_longer_than_sun_path_overwrites_nothing() {
    let directory = name::directory();
    let mut path = directory.path().to_owned();
    for _ in 0..4 {
        path.push("d".repeat(60));
        std::fs::create_dir(&path).unwrap();
    }
    path.push("socket");
    let listener: Listener<Stream> = Listener::bind(path.as_path()).unwrap();
    let client = peer!("peer-pitfalls", "connect", path.display());
    let mut text = String::new();
    listener.accept().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    client.finish();
    proof!("G8", "a path of {} bytes, sun_path holds 107 and a NUL", path.as_os_str().len());
}
