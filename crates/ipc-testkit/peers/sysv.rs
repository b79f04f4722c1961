//! The roles of tests/sysv.rs.

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[])
}
