//! Which processes hold what stands in /dev/shm, as the kernel tells it: the record locks of each open descriptor stand in
//! /proc/PID/fdinfo. No number of a process is ever written into the memory, where it could be forged or outlive its
//! process.

use std::fs::{self, DirEntry};
use std::num::NonZeroU32;
use std::path::Path;

use crate::memory::lock;
use crate::memory::name::DIRECTORY;
use crate::{Error, Result};

/// One handle of one process on one named segment of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Holder {
    /// The file in /dev/shm: [`Listed::inode`](crate::Listed::inode).
    pub inode: u64,
    /// The process, as our pid namespace counts.
    pub pid: NonZeroU32,
    /// Whether it holds the sending or writing end.
    pub sends: bool,
    /// Whether it holds the receiving end.
    pub receives: bool,
}

/// Lists who has named segments attached, from /proc: processes that we may look at (our own user's; root sees all). A
/// handle that is neither end reads, or is plain memory. What goes meanwhile is not in the list. A child forked without
/// exec holds what its parent held.
///
/// # Errors
/// | errno | error |
/// | --- | --- |
/// | ENOENT (no /proc), EMFILE | [`Error::System`] |
pub fn holders() -> Result<Vec<Holder>> {
    let processes = fs::read_dir("/proc").map_err(Error::system("opendir", "/proc"))?;
    let mut found: Vec<Holder> = processes
        .flatten()
        .filter_map(|process| Some((process.file_name().to_str()?.parse().ok()?, process)))
        .flat_map(|(pid, process)| of_process(pid, &process))
        .collect();
    found.sort();
    Ok(found)
}

fn of_process(pid: NonZeroU32, process: &DirEntry) -> Vec<Holder> {
    let descriptors = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
    descriptors
        .filter(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|leads| leads.starts_with(Path::new(DIRECTORY)))
        })
        .filter_map(|descriptor| {
            let info = process.path().join("fdinfo").join(descriptor.file_name());
            holder(pid, &fs::read_to_string(info).ok()?)
        })
        .collect()
}

/// What the locks of one open descriptor say; `None` where it has none of ours.
fn holder(pid: NonZeroU32, info: &str) -> Option<Holder> {
    let mut found = None;
    for line in info.lines().filter_map(|line| line.strip_prefix("lock:")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "OFDLCK", _, kind, _, file, first, last] = fields.as_slice() else { continue };
        let (Ok(first), Ok(last)) = (first.parse(), last.parse()) else { continue };
        let Some(inode) = file.rsplit(':').next().and_then(|inode| inode.parse().ok()) else { continue };
        let holds = |byte: libc::off_t| (first..=last).contains(&byte);
        let written = |byte| *kind == "WRITE" && holds(byte);
        if holds(lock::ATTACHED) || written(lock::PRODUCER) || written(lock::CONSUMER) {
            let holder = found.get_or_insert(Holder { inode, pid, sends: false, receives: false });
            holder.sends |= written(lock::PRODUCER);
            holder.receives |= written(lock::CONSUMER);
        }
    }
    found
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_lines_are_understood_and_others_passed_over() {
        let pid = NonZeroU32::MIN;
        let info = "pos:\t0\nino:\t174290\n\
            lock:\t1: OFDLCK ADVISORY  READ -1 00:1b:174290 1099511627776 1099511627776\n\
            lock:\t2: OFDLCK ADVISORY  WRITE -1 00:1b:174290 1099511627778 1099511627778\n";
        let receiver = Holder { inode: 174_290, pid, sends: false, receives: true };
        assert_eq!(holder(pid, info), Some(receiver));
        for other in [
            "",
            "lock:\n",
            "lock:\t1: POSIX  ADVISORY  WRITE 7 00:1b:1 1099511627777 1099511627777",
            "lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1b:1 0 EOF",
            "lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1b:x 1099511627777 1099511627777",
            "lock:\t1: OFDLCK ADVISORY  READ -1 00:1b:1 1099511627777 1099511627777",
        ] {
            assert_eq!(holder(pid, other), None, "{other:?}");
        }
    }
}
