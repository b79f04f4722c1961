//! The roles of tests/signal: a module for each room of ipc-signal.
#![expect(clippy::indexing_slicing, reason = "in a test kit a panic is how a test fails")]

mod trace;

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[("append-two", trace::append_two)])
}
