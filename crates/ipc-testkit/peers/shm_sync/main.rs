//! The roles of the lock tests of tests/shm.
#![expect(clippy::indexing_slicing, reason = "a role that is started wrongly may die of it")]
#![expect(clippy::unwrap_used, reason = "the types of both sides fail as tests do")]

mod barrier;
mod mutex;
mod rwlock;
mod words;

use ipc_testkit::role::{self, Role};

fn main() -> role::Result {
    let roles: Vec<Role> = [barrier::ROLES, mutex::ROLES, rwlock::ROLES, words::ROLES].concat();
    role::play(&roles)
}
