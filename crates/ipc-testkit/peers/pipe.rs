//! The roles of tests/pipe.rs.

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[])
}
