//! The roles of tests/shm.rs.

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[])
}
