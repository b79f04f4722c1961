//! Internal backend of ipc-suite: the Linux system calls that nix and libc lack, and the three things that every
//! blocking call of every crate needs: EINTR, a deadline, and a wait for readiness.
//!
//! This crate is to ipc-suite what a backend is to rustix: small, **exempt from semver**, its types never public in
//! another crate. Do not depend on it; depend on the mechanism crate.
//!
//! - [`errno`]: the result of a C call as [`std::io::Result`], and the retry on EINTR
//! - [`deadline`]: a point on CLOCK_MONOTONIC, computed once, never early, never overflowing
//! - [`poll`]: ppoll of one descriptor until a deadline
//! - [`path`]: names in directories that others may write: who owns what stands there, and removing only one's own
//! - [`fork`]: how a forked child knows that it is one
//! - [`words`], [`pairs`], [`prefetch`]: bytes in and out of memory that other processes write
//! - one module per mechanism, with the raw calls that only it needs

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    any(target_env = "gnu", target_env = "musl")
)))]
compile_error!(
    "ipc-suite supports Linux on x86_64 and aarch64, with glibc or musl; no other target has been checked"
);

pub mod deadline;
pub mod disposition;
pub mod errno;
pub mod event;
pub mod fork;
pub mod futex;
pub mod huge;
pub mod inherit;
pub mod memory;
pub mod pairs;
pub mod path;
pub mod pipe;
pub mod poll;
pub mod prefetch;
pub mod process;
pub mod pthread;
pub mod siginfo;
pub mod signal;
pub mod sigpipe;
pub mod socket;
pub mod sysv;
pub mod timer;
pub mod words;

pub use deadline::Deadline;
