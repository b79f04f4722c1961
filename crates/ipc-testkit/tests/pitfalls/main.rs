//! The mistakes of the guide's page `pitfalls` that no other test holds: what the naive program does, and what ours does
//! in the same place.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod bytes;
mod signals;
mod system_v;

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;

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
    drop(listener);
    // The naive twin, strncpy into sun_path, is content with another name, where nobody looks for it.
    let cut = std::path::Path::new(std::ffi::OsStr::from_bytes(&path.as_os_str().as_bytes()[..107]));
    let _naive = UnixListener::bind(cut).unwrap();
    assert!(cut.exists() && Stream::connect(path.as_path()).is_err());
    proof!(
        "G8",
        "a path of {} bytes, sun_path holds 107 and a NUL; naive twin: nobody finds it",
        path.as_os_str().len()
    );
}
