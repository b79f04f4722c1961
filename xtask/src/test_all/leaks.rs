//! What is left in the system when a test binary has ended: System V objects, /dev/shm, socket names, processes.
//!
//! On a machine of its own every new object is a leak. Where others work as well, an object is ours when its key, its
//! name or its creator says so, and not when these name a process that lives and is not ours; one that names nobody
//! counts only when nobody else is seen to run such programs.
//!
//! What a leak leaves behind is removed, but only where it says itself that it was this run's: a run that is cut short by
//! Ctrl-C or by its deadline leaves nothing, and nobody else's objects are touched.
#![expect(unsafe_code, reason = "semctl, msgctl and shmctl are variadic or take pointers")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::ptr;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::processes::{all as processes, one as process, until};

/// How long an object may take to go after the binary's end: a killed peer's, while the kernel takes it apart.
const GRACE: Duration = Duration::from_secs(60);

/// Something that outlives a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    what: String,
    /// The process that made it, as far as its key, its name or the kernel tells.
    maker: Option<u32>,
    /// Whether the maker stands in a key or a name of the test kit, which nobody else writes there.
    signed: bool,
    place: Place,
}

/// What to call to remove it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    SystemV(&'static str, i32),
    Path(PathBuf),
    /// It goes with its last descriptor.
    Socket,
}

/// What was there before.
#[derive(Debug)]
pub(crate) struct Audit(BTreeSet<Object>);

impl Audit {
    pub(crate) fn begin() -> Self {
        Self(objects())
    }

    /// What is there now, was not, and is `leader`'s. Its processes that still run are killed, and of the objects those that
    /// are certainly its own are removed.
    pub(crate) fn end(&self, leader: u32) -> Vec<String> {
        let mut left = Vec::new();
        until(GRACE, || {
            left = orphans();
            left.is_empty()
        });
        for (id, _) in &left {
            let id = Pid::from_raw(*id);
            let _ = kill(id, Signal::SIGKILL);
            let _ = waitpid(id, None);
        }
        let mut leaks: Vec<String> =
            left.into_iter().map(|(id, name)| format!("process {id} ({name})")).collect();
        let mut objects_left = Vec::new();
        until(GRACE, || {
            let now = objects();
            let new = now.difference(&self.0).filter(|object| is_leak(object.maker, leader));
            objects_left = new.cloned().collect::<Vec<_>>();
            objects_left.is_empty()
        });
        objects_left.iter().filter(|object| object.is_certainly_of(leader)).for_each(Object::remove);
        leaks.extend(objects_left.into_iter().map(|object| object.what));
        leaks
    }
}

impl Object {
    /// Its maker is `leader`, or has signed it and is dead, as the peers of a test are.
    fn is_certainly_of(&self, leader: u32) -> bool {
        self.maker.is_some_and(|maker| maker == leader || (self.signed && !lives(maker)))
    }

    fn remove(&self) {
        match &self.place {
            Place::SystemV("sem", id) => {
                // SAFETY: IPC_RMID takes no argument.
                unsafe { libc::semctl(*id, 0, libc::IPC_RMID) };
            }
            Place::SystemV("msg", id) => {
                // SAFETY: IPC_RMID looks at no buffer.
                unsafe { libc::msgctl(*id, libc::IPC_RMID, ptr::null_mut()) };
            }
            Place::SystemV(_, id) => {
                // SAFETY: IPC_RMID looks at no buffer.
                unsafe { libc::shmctl(*id, libc::IPC_RMID, ptr::null_mut()) };
            }
            Place::Path(path) if path.is_dir() => drop(fs::remove_dir_all(path)),
            Place::Path(path) => drop(fs::remove_file(path)),
            Place::Socket => {}
        }
    }
}

fn lives(id: u32) -> bool {
    fs::exists(format!("/proc/{id}")).unwrap_or(true)
}

fn is_leak(maker: Option<u32>, leader: u32) -> bool {
    match maker {
        Some(id) if id == leader => true,
        Some(id) if lives(id) => false,
        _ => !others_test(),
    }
}

/// Whether programs of such a workspace run that are not descended from us.
fn others_test() -> bool {
    let ours = std::process::id();
    processes().any(|process| {
        let executable = fs::read_link(format!("/proc/{}/exe", process.id)).unwrap_or_default();
        let text = executable.to_string_lossy().into_owned();
        let such = ["/target/debug/", "/target/release/"].iter().any(|part| text.contains(part));
        such && u32::try_from(process.id) != Ok(ours) && !descends(process.id, ours)
    })
}

fn descends(mut id: i32, from: u32) -> bool {
    while id > 1 {
        if u32::try_from(id) == Ok(from) {
            return true;
        }
        id = process(id).map_or(0, |process| process.parent);
    }
    false
}

/// Our children that we have not started: whoever a test has left. The dead ones are reaped on the way.
fn orphans() -> Vec<(i32, String)> {
    let ours = std::process::id().cast_signed();
    let mut alive = Vec::new();
    for child in processes().filter(|process| process.parent == ours) {
        if !child.alive() {
            let _ = waitpid(Pid::from_raw(child.id), Some(WaitPidFlag::WNOHANG));
        } else {
            alive.push((child.id, child.name));
        }
    }
    alive
}

fn objects() -> BTreeSet<Object> {
    let mut found = BTreeSet::new();
    for kind in ["sem", "msg", "shm"] {
        let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
        found.extend(table.lines().skip(1).filter_map(|line| system_v(kind, line)));
    }
    for directory in ["/dev/shm", "/tmp"] {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // In /tmp anybody may leave anything: what tests make there carries their prefix.
            if directory == "/dev/shm" || name.contains("ipc-testkit-") {
                let (maker, path) = (in_name(&name), entry.path());
                let what = path.display().to_string();
                found.insert(Object { what, maker, signed: maker.is_some(), place: Place::Path(path) });
            }
        }
    }
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    for name in sockets.lines().skip(1).filter_map(|line| line.split_whitespace().nth(7)) {
        if name.contains("ipc-testkit-") {
            let (what, maker) = (format!("socket {name}"), in_name(name));
            found.insert(Object { what, maker, signed: maker.is_some(), place: Place::Socket });
        }
    }
    found
}

/// A row of /proc/sysvipc: the key first, then the id; of a segment the fifth column is its creator.
fn system_v(kind: &'static str, line: &str) -> Option<Object> {
    let mut columns = line.split_whitespace();
    let key = columns.next()?.parse::<i32>().ok()?.cast_unsigned();
    let id = columns.next()?.parse().ok()?;
    let creator = columns.nth(2).filter(|_| kind == "shm").and_then(|id| id.parse().ok());
    let signature = in_key(key);
    Some(Object {
        what: format!("{kind} {id} with key {key:#010x}"),
        maker: signature.or(creator),
        signed: signature.is_some(),
        place: Place::SystemV(kind, id),
    })
}

/// The process id in a key of `ipc_testkit::name::key`: 0x49000000, with the id flipped in from the ninth bit on.
fn in_key(key: u32) -> Option<u32> {
    let id = (key ^ 0x4900_0000) >> 8;
    (key >> 30 == 1 && id != 0).then_some(id)
}

/// The process id in a name of `ipc_testkit::name::unique`: `ipc-testkit-PID-…`.
fn in_name(name: &str) -> Option<u32> {
    let (_, rest) = name.split_once("ipc-testkit-")?;
    rest.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_are_read_from_keys_and_names() {
        for id in [77, 0x0001_2345, 0x003f_ffff] {
            assert_eq!(in_key(0x4900_0000 ^ (id << 8) ^ 7), Some(id));
        }
        assert_eq!(in_key(1234), None);
        assert_eq!(in_name("/ipc-testkit-77-3-ring"), Some(77));
        assert_eq!(in_name("other"), None);
    }

    #[test]
    fn rows_of_the_kernel_are_read() {
        let row = "      1234          5   666   4096  77  0  0  0  0  0  0  0  0  0  0  0";
        let object = system_v("shm", row).unwrap();
        assert_eq!((object.what.as_str(), object.maker), ("shm 5 with key 0x000004d2", Some(77)));
        assert_eq!(object.place, Place::SystemV("shm", 5));
        assert_eq!(system_v("sem", "-1  6  600  1").unwrap().maker, None);
    }

    #[test]
    fn only_what_is_certainly_ours_is_removed() {
        let (ours, nobody) = (std::process::id(), 0x003f_fffe);
        let object =
            |maker, signed| Object { what: String::new(), maker, signed, place: Place::SystemV("sem", -1) };
        assert!(object(Some(ours), false).is_certainly_of(ours));
        assert!(object(Some(nobody), true).is_certainly_of(ours), "a peer's");
        assert!(!object(Some(1), true).is_certainly_of(ours), "its maker lives");
        assert!(!object(Some(nobody), false).is_certainly_of(ours), "a stranger's segment");
        assert!(!object(None, false).is_certainly_of(ours));
    }
}
