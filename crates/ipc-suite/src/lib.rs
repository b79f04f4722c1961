//! Linux inter-process communication: every mechanism of the classic tutorials, a crate each, behind one door.

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
