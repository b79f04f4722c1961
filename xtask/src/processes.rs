//! The kernel's table of processes, /proc/PID/stat.

use std::fs;
use std::time::{Duration, Instant};

/// A process as the kernel's table has it.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: i32,
    pub(crate) name: String,
    state: char,
    pub(crate) parent: i32,
    pub(crate) group: i32,
}

impl Process {
    /// Whether it still runs; a dead one stays in the table until it is reaped.
    pub(crate) fn alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| one(entry.file_name().to_str()?.parse().ok()?))
}

/// The one with this id.
pub(crate) fn one(id: i32) -> Option<Process> {
    stat(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// `7 (a name) S 1 …`: the name may hold anything, so the last parenthesis counts.
fn stat(id: i32, text: &str) -> Option<Process> {
    let (before, after) = text.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let mut rest = after.split(' ');
    let state = rest.next()?.chars().next()?;
    let mut number = || rest.next()?.parse().ok();
    Some(Process { id, name: name.to_owned(), state, parent: number()?, group: number()? })
}

/// Looks until `condition` holds or `limit` is over, and says which: no event tells that a row of /proc has gone.
pub(crate) fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > limit {
            return false;
        }
        #[expect(clippy::disallowed_methods, reason = "what vanishes from a table of /proc sends no event")]
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let process = stat(7, "7 (a ) b) S 1 9 7 0").unwrap();
        assert_eq!((process.name.as_str(), process.parent, process.group), ("a ) b", 1, 9));
        assert!(process.alive());
        assert!(!stat(7, "7 (x) Z 1 9 7 0").unwrap().alive());
    }

    #[test]
    fn we_are_among_them() {
        let id = std::process::id().cast_signed();
        assert!(all().any(|process| process.id == id && process.alive()));
    }
}
