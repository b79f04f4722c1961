//! Names that no other test uses, of this run or of another that runs at the same time.

use std::fs;
use std::path::PathBuf;
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// `ipc-testkit-PID-N-what`: for POSIX shared memory, abstract sockets and files.
#[must_use]
pub fn unique(what: &str) -> String {
    format!("ipc-testkit-{}-{}-{what}", id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A System V key of this process's own: never `IPC_PRIVATE`, and no ftok key of a file on device 0x49.
#[must_use]
pub fn key() -> i32 {
    let serial = NEXT.fetch_add(1, Ordering::Relaxed) & 0xff;
    let key = 0x4900_0000_u32 ^ ((id() << 8) & 0x3fff_ff00) ^ serial;
    i32::try_from(key & 0x7fff_ffff).expect("31 bits")
}

/// A directory that is removed with all that is in it.
#[must_use]
pub fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("ipc-testkit-").tempdir().unwrap()
}

/// The entries of /dev/shm whose name contains this.
#[must_use]
pub fn in_dev_shm(part: &str) -> Vec<PathBuf> {
    fs::read_dir("/dev/shm")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(part))
        .collect()
}
