//! What ipc-uds promises, proven between real processes; the rows are those of docs/testing.md.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod budget;
mod descriptors;
mod hostile;
mod identity;
mod inherit;
mod name;
mod serve;

use std::path::PathBuf;

/// A path in a directory of its own that everybody may search.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let directory = ipc_testkit::name::directory();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What is in it now.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
