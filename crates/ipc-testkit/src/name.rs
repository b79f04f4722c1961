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

/// A System V key of this process's own, which nobody uses: never `IPC_PRIVATE`, and no ftok key of a file on device 0x49.
///
/// Sets and queues of tests carry one where any key would do, because their kernel objects do not know who made them: of a
/// run that is cut short, `cargo xtask` removes what says that it was that run's.
#[must_use]
pub fn key() -> i32 {
    loop {
        let serial = NEXT.fetch_add(1, Ordering::Relaxed) & 0xff;
        let key = 0x4900_0000_u32 ^ ((id() << 8) & 0x3fff_ff00) ^ serial;
        let key = i32::try_from(key & 0x7fff_ffff).expect("31 bits");
        // There are 256 of them, and a long storm draws more.
        if !is_in_use(key) {
            return key;
        }
    }
}

fn is_in_use(key: i32) -> bool {
    ["sem", "msg", "shm"].iter().any(|kind| {
        let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
        table
            .lines()
            .any(|line| line.split_whitespace().next().and_then(|first| first.parse().ok()) == Some(key))
    })
}

/// A directory that is removed with all that is in it: `ipc-testkit-PID-…`.
#[must_use]
pub fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix(&format!("ipc-testkit-{}-", id())).tempdir().unwrap()
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
