//! The roles of tests/uds.rs.

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[])
}
