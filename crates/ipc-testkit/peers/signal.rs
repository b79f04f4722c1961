//! The roles of tests/signal.rs.

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[])
}
