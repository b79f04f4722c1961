//! The roles of tests/shm.
#![expect(clippy::indexing_slicing, reason = "a role that is started wrongly may die of it")]

mod bytes;
mod doorbell;
mod ends;
mod forks;
mod litmus;
mod lossless;
mod memory;
mod mpmc;
mod one_to_many;
mod request;
mod rings;
mod spsc;
mod steps;
mod strangers;
mod system_v;
mod tag;
mod victim;
mod waiting;

use ipc_testkit::role::{self, Role};

fn main() -> role::Result {
    let roles: Vec<Role> = [
        memory::ROLES,
        spsc::ROLES,
        one_to_many::ROLES,
        bytes::ROLES,
        mpmc::ROLES,
        request::ROLES,
        steps::ROLES,
        system_v::ROLES,
        tag::ROLES,
        victim::ROLES,
        forks::ROLES,
        litmus::ROLES,
        doorbell::ROLES,
        lossless::ROLES,
        strangers::ROLES,
        waiting::ROLES,
        rings::ROLES,
    ]
    .concat();
    role::play(&roles)
}
