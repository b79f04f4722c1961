//! What stands in /dev/shm, what of it is ours, and taking away what nobody uses any more.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, DirEntry, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

use nix::fcntl::OFlag;

use crate::memory::header::Layout;
use crate::memory::lock::{self, Kind};
use crate::memory::name::{DIRECTORY, Name, TEMPORARY};
use crate::{Error, Result};

/// One named segment, as it was when the list was made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listed {
    /// Its name, without the slash.
    pub name: OsString,
    /// The number of the file in /dev/shm, by which [`Holder`](crate::Holder) names it.
    pub inode: u64,
    /// The bytes of the file.
    pub len: u64,
    /// The permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// What it holds (`memory`, `spsc` …), where this library made it and we may read it.
    pub kind: Option<&'static str>,
    /// Whether any process alive has it attached, where this library made it.
    pub attached: bool,
}

/// Lists the POSIX shared memory of this machine, other programs' included, by name. What disappears meanwhile is not in
/// the list.
///
/// # Errors
/// | errno | error |
/// | --- | --- |
/// | ENOENT (no /dev/shm), EMFILE | [`Error::System`] |
pub fn list() -> Result<Vec<Listed>> {
    let mut found: Vec<Listed> = entries()?.iter().filter_map(look).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Removes every name beginning with `prefix` that this library made, that we own or may write, and that no process
/// alive has attached: what killed programs left. Gives the names removed. An empty prefix means all of them.
///
/// A segment that was left on purpose ([`crate::SharedMemory::persist`]) and that nobody has attached at the moment looks
/// the same, and goes too.
///
/// # Errors
/// As [`list`]; what cannot be removed is passed over.
pub fn remove_stale(prefix: impl AsRef<OsStr>) -> Result<Vec<OsString>> {
    let prefix = prefix.as_ref().as_bytes();
    let prefix = prefix.strip_prefix(b"/").unwrap_or(prefix);
    let mut removed = Vec::new();
    for entry in entries()? {
        let name = entry.file_name();
        let half_replaced = name.as_bytes().starts_with(TEMPORARY.as_bytes());
        let wanted = name.as_bytes().starts_with(prefix) || half_replaced;
        if wanted && remove_if_stale(&name) == Some(true) {
            removed.push(name);
        }
    }
    Ok(removed)
}

fn entries() -> Result<Vec<DirEntry>> {
    let entries = fs::read_dir(DIRECTORY).map_err(Error::system("opendir", DIRECTORY))?;
    entries.collect::<Result<_, _>>().map_err(Error::system("readdir", DIRECTORY))
}

fn look(entry: &DirEntry) -> Option<Listed> {
    let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(entry.path());
    let kind = file.as_ref().ok().and_then(kind_of);
    let attached = match (&file, kind) {
        (Ok(file), Some(_)) => lock::is_excluded(file, lock::ATTACHED, Kind::Write).unwrap_or(false),
        _ => false,
    };
    Some(Listed {
        name: entry.file_name(),
        inode: metadata.ino(),
        len: metadata.len(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        kind,
        attached,
    })
}

fn kind_of(file: &File) -> Option<&'static str> {
    let mut head = [0; 64];
    file.read_exact_at(&mut head, 0).ok()?;
    Some(Layout::kind_of(&head)?.name())
}

/// `None` where a look fails: it is not ours to judge.
fn remove_if_stale(name: &OsStr) -> Option<bool> {
    let name = Name::unchecked(CString::new(name.to_owned().into_vec()).ok()?).ok()?;
    let file = File::from(name.open(OFlag::O_RDWR).ok()?);
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    kind_of(&file)?;
    let file = OwnedFd::from(file);
    let alone = lock::take(&file, lock::ATTACHED, Kind::Write).ok()?;
    if alone && name.leads_to(&file).ok()? {
        name.unlink().ok()?;
        return Some(true);
    }
    Some(false)
}
