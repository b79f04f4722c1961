//! The key that two programs agree on.

use std::path::Path;

use ipc_example::Result;
use ipc_sysv::Key;

/// ftok. A directory would do for C, but here it is nearly always a mistake: a key is made of a file.
pub(crate) fn of_file(path: &Path, project: u8) -> Result<Key> {
    if path.is_dir() {
        return Err(format!("{} is a directory; a key is made of a file", path.display()).into());
    }
    Ok(Key::from_path(path, project)?)
}

/// A key that another process can use as well.
pub(crate) fn shared(key: Key) -> Result<Key> {
    if key.is_private() {
        return Err("key 0 is IPC_PRIVATE, by which nobody else finds anything".into());
    }
    Ok(key)
}
