//! Where one play takes place: a directory, a key and a name that no other run uses, and what is left there afterwards.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::unistd::{getgid, getuid};

use crate::Result;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A place of its own; the directory goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    directory: PathBuf,
    /// A System V key.
    pub(crate) key: u32,
    /// A name for POSIX shared memory.
    pub(crate) name: String,
    /// Milliseconds between two turns of a program.
    interval: u32,
}

impl Stage {
    pub(crate) fn new(interval: u32) -> Result<Self> {
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let directory = std::env::temp_dir().join(format!("ipc-xtask-{}-{number}", id()));
            fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            let file = directory.join("file");
            fs::write(&file, "a file to make keys of\n")?;
            let key = 0x7800_0000 | (id() & 0x7_ffff) << 8 | number & 0xff;
            if !objects_with(&keys_of(&file)).is_empty() {
                // ftok makes of our file a key that somebody else's object has, too.
                fs::remove_dir_all(&directory)?;
                continue;
            }
            return Ok(Self { directory, key, name: format!("/ipc-xtask-{}-{number}", id()), interval });
        }
    }

    /// A path in the directory: `file` is there, `fifo` and `socket` are not.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// `text` with what its placeholders stand for, but `{*}`; `pids` are those of the roles so far.
    pub(crate) fn fill(&self, text: &str, pids: &[Option<u32>], heard: &str) -> String {
        let mut text = text
            .replace("{heard}", heard)
            .replace("{key}", &self.key.to_string())
            .replace("{hexkey}", &format!("{:#010x}", self.key))
            .replace("{name}", &self.name)
            .replace("{interval}", &self.interval.to_string())
            .replace("{uid}", &getuid().to_string())
            .replace("{gid}", &getgid().to_string());
        if text.contains("{letters}") {
            let letters: String = ('A'..='Z').cycle().take(4095).collect();
            text = text.replace("{letters}", &letters);
        }
        for name in ["file", "fifo", "socket"] {
            text = text.replace(&format!("{{{name}}}"), &self.path(name).display().to_string());
        }
        for (role, pid) in pids.iter().enumerate() {
            let pid = pid.map_or("(not started)".to_owned(), |pid| pid.to_string());
            text = text.replace(&format!("{{pid {role}}}"), &pid);
        }
        text
    }

    /// What programs have made here and not removed. A FIFO stays, as mkfifo leaves it.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let mut left = Vec::new();
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if !["file", "fifo"].iter().any(|known| entry.file_name() == *known) {
                left.push(entry.path().display().to_string());
            }
        }
        left.extend(self.objects());
        left
    }

    /// The kernel's objects with a name or a key of this stage.
    pub(crate) fn objects(&self) -> Vec<String> {
        let mut found = Vec::new();
        found.extend(self.memory().iter().map(|path| path.display().to_string()));
        found.extend(objects_with(&self.keys()));
        found
    }

    /// The POSIX shared memory of this stage: of its name, and of names made of it with a dot.
    fn memory(&self) -> Vec<PathBuf> {
        let ours = self.name.trim_start_matches('/');
        let is_ours =
            |name: &str| name.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let entries = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_name().to_str().is_some_and(is_ours))
            .map(|entry| entry.path())
            .collect()
    }

    /// The keys that programs may use here: the plain one, and those of the file.
    fn keys(&self) -> Vec<u32> {
        let mut keys = keys_of(&self.path("file"));
        keys.push(self.key);
        keys
    }
}

/// The System V objects with one of these keys.
fn objects_with(keys: &[u32]) -> Vec<String> {
    let mut found = Vec::new();
    for kind in ["sem", "msg", "shm"] {
        let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
        let ours = keys_in(&table).filter(|key| keys.contains(key));
        found.extend(ours.map(|key| format!("{kind} with key {key:#010x}")));
    }
    found
}

/// The keys that the examples make of a file.
fn keys_of(file: &Path) -> Vec<u32> {
    let Ok(data) = fs::metadata(file) else { return Vec::new() };
    [u32::from(b'a'), 0x6666].map(|number| ftok(data.dev(), data.ino(), number)).to_vec()
}

impl Drop for Stage {
    /// Nothing stays, not even of programs that failed: the names and keys are this stage's alone.
    fn drop(&mut self) {
        for path in self.memory() {
            let _ = fs::remove_file(path);
        }
        if !self.objects().is_empty() {
            for key in self.keys().iter().map(u32::to_string) {
                // Not by `process`, which starts nothing after Ctrl-C: that is when it is needed most.
                let mut ipcrm = Command::new("ipcrm");
                ipcrm.args(["-S", &key, "-Q", &key, "-M", &key]);
                let _ = ipcrm.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The key that ftok(3) makes.
fn ftok(device: u64, inode: u64, number: u32) -> u32 {
    let low = |value: u64, mask: u64| u32::try_from(value & mask).unwrap_or(0);
    (number & 0xff) << 24 | low(device, 0xff) << 16 | low(inode, 0xffff)
}

/// The keys in a table of /proc/sysvipc.
fn keys_in(table: &str) -> impl Iterator<Item = u32> {
    let first = |line: &str| line.split_whitespace().next()?.parse::<i32>().ok();
    table.lines().skip(1).filter_map(move |line| first(line).map(i32::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled() {
        let stage = Stage::new(20).unwrap();
        let text = stage.fill("{pid 0} {pid 1} {heard} {interval} {*}", &[Some(7), None], "x");
        assert_eq!(text, "7 (not started) x 20 {*}");
        assert!(stage.fill("{fifo}", &[], "").ends_with("/fifo"));
        assert!(stage.left_behind().is_empty());
        fs::write(stage.path("socket"), "").unwrap();
        assert_eq!(stage.left_behind().len(), 1);
    }

    #[test]
    fn keys_are_read_and_made_as_the_kernel_and_libc_do() {
        let table = "       key      semid perms\n      1234          0   666\n -12345678          1   600\n";
        assert_eq!(keys_in(table).collect::<Vec<_>>(), [1234, (-12_345_678_i32).cast_unsigned()]);
        assert_eq!(ftok(0x0803, 0x12_3456, 0x6666), 0x6603_3456);
    }
}
