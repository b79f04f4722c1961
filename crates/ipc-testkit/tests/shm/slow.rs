//! Lost wake-ups, told from a machine that has other things to do.
//!
//! Who is not woken finds what came at its next look at the peer, 60 ms later. Who is woken and gets no CPU takes any time,
//! too; but then it is ready to run, and the kernel says for how long it was and how long it ran. What is left of a wait when
//! all who take part in it have been asked is the time that they slept, all at once.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use ipc_testkit::Peer;

/// The waits of one test that took long.
#[derive(Debug, Default)]
pub(crate) struct Slow {
    /// Of this thread, and of whoever else takes part: what its /proc/PID/schedstat said at the last wait.
    awake: Vec<(File, Duration)>,
    /// As long as one look, and somebody was awake.
    busy: u32,
    /// As long as one look, and all were asleep.
    looked: u32,
}

impl Slow {
    /// Waits of this thread for these processes.
    pub(crate) fn with<'a>(peers: impl IntoIterator<Item = &'a Peer>) -> Self {
        let mut slow = Self::with_threads([]);
        peers.into_iter().for_each(|peer| slow.add(&format!("/proc/{}/schedstat", peer.id())));
        slow
    }

    /// Waits of this thread for these threads of this process.
    pub(crate) fn with_threads(threads: impl IntoIterator<Item = nix::unistd::Pid>) -> Self {
        let mut slow = Self::default();
        slow.add("/proc/thread-self/schedstat");
        threads.into_iter().for_each(|thread| slow.add_thread(thread));
        slow
    }

    /// Of this thread of this process, too.
    pub(crate) fn add_thread(&mut self, thread: nix::unistd::Pid) {
        self.add(&format!("/proc/self/task/{thread}/schedstat"));
    }

    /// A kernel that does not keep the account leaves all time unaccounted for.
    fn add(&mut self, path: &str) {
        self.awake.extend(File::open(path).ok().map(|file| (file, Duration::ZERO)));
    }

    /// A wait that took so long and ended just now; all of these waits must be told, one after another.
    pub(crate) fn note(&mut self, took: Duration) {
        let asleep = self.asleep(took);
        match took.as_millis() {
            58..90 if asleep > Duration::from_millis(50) => self.looked += 1,
            58..90 => self.busy += 1,
            _ => {}
        }
    }

    /// For how long of such a wait nobody ran or was ready to.
    pub(crate) fn asleep(&mut self, took: Duration) -> Duration {
        let awake: Duration = self.awake.iter_mut().map(awake_since).sum();
        took.saturating_sub(awake)
    }

    pub(crate) fn check(&self) {
        // The machine that runs ours may stop all of it, and its clock not.
        assert!(self.looked <= 3, "wake-ups were lost: {self}");
    }
}

/// For how long it has run, and waited for a CPU, since it was last asked.
fn awake_since((file, last): &mut (File, Duration)) -> Duration {
    let mut text = [0; 64];
    let len = file.read_at(&mut text, 0).unwrap_or(0);
    let numbers = std::str::from_utf8(&text[..len]).unwrap_or_default().split_ascii_whitespace();
    let now = Duration::from_nanos(numbers.take(2).filter_map(|number| number.parse::<u64>().ok()).sum());
    let since = now.saturating_sub(*last);
    *last = now;
    since
}

impl fmt::Display for Slow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} waits as long as a look asleep, {} awake", self.looked, self.busy)
    }
}
