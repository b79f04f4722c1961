//! Linux inter-process communication: every mechanism of the classic tutorials, a crate each, under one name and version.
//!
//! Depend on this crate to have them all under one version, or on a single mechanism crate to have only what you use: the
//! names are the same. Each module below is a crate of its own and a feature of this one; all are on by default.
//!
//! | module | crate | what is in it |
//! | --- | --- | --- |
//! | [`pipe`] | `ipc-pipe` | anonymous pipes, FIFOs |
//! | [`sysv`] | `ipc-sysv` | System V semaphores, message queues, shared memory segments, as `ipcs` and `ipcrm` see them |
//! | [`signal`] | `ipc-signal` | signals with values, handlers, masks, timers, pidfds, wait states, tracing |
//! | [`shm`] | `ipc-shm` | shared memory by name or by descriptor; channels and locks in it |
//! | [`uds`] | `ipc-uds` | Unix sockets, peer credentials, descriptors, servers for many clients |
//! | [`frame`] | `ipc-frame` | messages with a length and a cap over any `Read` and `Write` |
//!
//! The [`guide`] is where to begin: [what processes are and why they talk](guide::primer), [which mechanism to
//! take](guide::choosing), [a picture of each](guide::pictures), [where each C call went](guide::from_c), and [what goes
//! wrong](guide::pitfalls).
//!
//! # What holds in every crate
//! - Descriptors go in as `impl AsFd` and come out as `OwnedFd`, each with CLOEXEC from birth.
//! - `x` waits, `try_x` never does, `x_timeout` gives up; a signal handler that runs meanwhile does not show.
//! - `create` is exclusive, `open` wants it there, `open_or_create` says which happened; the mode is 0600 unless you say.
//! - A type that stands for an object of the kernel says what a SIGKILL leaves behind, how to find it and how to remove it.
//! - What the other process wrote is input: checked, capped, and an error when it is nonsense.
//! - A call costs the system calls of the C loop.
//! - C, Python and Perl programs can be on the other side; where a layout is ours alone, the type says so.
//!
//! # Limits
//! Linux on x86-64 and aarch64, with glibc or musl. TCP and UDP are `std::net`'s; the server of [`uds`] and the messages of
//! [`frame`] work over them.

#[cfg(feature = "frame")]
#[doc(inline)]
pub use ipc_frame as frame;
#[cfg(feature = "pipe")]
#[doc(inline)]
pub use ipc_pipe as pipe;
#[cfg(feature = "shm")]
#[doc(inline)]
pub use ipc_shm as shm;
#[cfg(feature = "signal")]
#[doc(inline)]
pub use ipc_signal as signal;
#[cfg(feature = "sysv")]
#[doc(inline)]
pub use ipc_sysv as sysv;
#[cfg(feature = "uds")]
#[doc(inline)]
pub use ipc_uds as uds;

#[cfg(all(
    feature = "frame",
    feature = "pipe",
    feature = "shm",
    feature = "signal",
    feature = "sysv",
    feature = "uds"
))]
pub mod guide;
