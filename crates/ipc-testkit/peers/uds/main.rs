//! The roles of tests/uds.
#![expect(clippy::indexing_slicing, reason = "a role that is started wrongly may die of it")]

mod descriptors;
mod hostile;
mod identity;
mod inherit;
mod name;
mod serve;

use ipc_testkit::role::{self, Role};

fn main() -> role::Result {
    let roles: Vec<Role> =
        [descriptors::ROLES, hostile::ROLES, identity::ROLES, inherit::ROLES, name::ROLES, serve::ROLES]
            .concat();
    role::play(&roles)
}

/// Becomes nobody, for good.
fn become_nobody() -> role::Result {
    nix::unistd::setgroups(&[])?;
    nix::unistd::setgid(65534.into())?;
    Ok(nix::unistd::setuid(65534.into())?)
}
