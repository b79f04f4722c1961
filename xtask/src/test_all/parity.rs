//! System call parity: between the first and the last message, each example makes the calls on the IPC object that its C
//! twin makes. Both are played under strace, Rust with Rust and C with C, and compared role by role.
//!
//! A call is on an IPC object when it names a System V object, queues or takes signal 40, or when its descriptor leads
//! to a pipe, a FIFO, a socket or shared memory (standard streams are none of it). Which of the calls of one kind is
//! taken (read or recv, write or pwritev2) is the program's choice: a call is a call.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::strace::{self, Call};
use super::tally::Tally;
use crate::pairs::{self, Pair, Role, Twin};
use crate::play::{self, Player, Programs};
use crate::{Result, interrupt, process, root};

/// Milliseconds between two turns: long enough that under strace, too, a read brings one write. On a loaded machine it may
/// bring what two have sent; programs that differ at the slowest pace as well make different calls.
const INTERVALS: [u32; 5] = [100, 200, 400, 1000, 3000];

pub(super) fn run(examples: &Programs, twins: &Programs) -> Result<Tally> {
    let mut tally = Tally::default();
    let Some(tracer) = process::find("strace") else {
        tally.skip("system call parity", "no strace on this machine");
        return Ok(tally);
    };
    for pair in pairs::all().filter(|pair| pair.shown && pair.in_c()) {
        let rust: Option<Vec<Player>> = pair.roles.iter().map(|role| play::rust(role, examples)).collect();
        let c: Option<Vec<Player>> = pair.roles.iter().map(|role| play::twin(role, twins)).collect();
        let (Some(rust), Some(c)) = (rust, c) else {
            tally.fail(format!("parity of {}: not all of its programs have been built", pair.name));
            continue;
        };
        let mut difference = String::new();
        for interval in INTERVALS {
            if interrupt::happened() {
                return Ok(tally);
            }
            let both = traced(pair, &rust, &tracer, interval)
                .and_then(|rust| Ok((rust, traced(pair, &c, &tracer, interval)?)));
            match both {
                Ok((rust, c)) => {
                    difference = compare(pair, &rust, &c);
                    if difference.is_empty() {
                        for (role, calls) in pair.roles.iter().zip(&rust) {
                            println!("{:<12} {:<22} {}", pair.name, role.program, shown(calls));
                        }
                        break;
                    }
                }
                Err(error) => {
                    difference = error.to_string();
                    break;
                }
            }
        }
        if difference.is_empty() {
            tally.pass();
        } else {
            tally.fail(format!("{}: the system calls differ\n{difference}", pair.name));
        }
    }
    Ok(tally)
}

impl Pair {
    /// Whether each of its programs has a twin in C.
    fn in_c(&self) -> bool {
        self.roles.iter().all(|role| matches!(role.twin, Twin::C))
    }
}

/// The calls of each thread, most first: which thread was which is not said.
type Threads = Vec<Vec<Kind>>;

fn compare(pair: &Pair, rust: &[Threads], c: &[Threads]) -> String {
    let roles = pair.roles.iter().zip(rust).zip(c).filter(|((_, rust), c)| rust != c);
    let line = |((role, rust), c): ((&Role, &Threads), &Threads)| {
        format!("{}\n  Rust: {}\n  C:    {}\n", role.program, shown(rust), shown(c))
    };
    roles.map(line).collect()
}

fn shown(threads: &Threads) -> String {
    if threads.is_empty() {
        return "no call".to_owned();
    }
    let one = |calls: &Vec<Kind>| calls.iter().map(Kind::word).collect::<Vec<_>>().join(" ");
    threads.iter().map(one).collect::<Vec<_>>().join(" | ")
}

/// Plays `pair` with each program under strace and gives the calls of each role.
fn traced(pair: &Pair, players: &[Player], tracer: &Path, interval: u32) -> Result<Vec<Threads>> {
    let directory = root().join("target/strace");
    fs::create_dir_all(&directory)?;
    let log = |at: usize| directory.join(format!("{}-{at}", std::process::id()));
    let wrap = |(at, player): (usize, &Player)| {
        // The tracer is the grandchild: the program keeps the id and the place of our child.
        let mut words: Player = vec![tracer.to_owned()];
        words.extend(["-D", "-f", "-y", "-qq", "-s", "16", "-o"].map(PathBuf::from));
        words.push(log(at));
        words.extend(player.iter().cloned());
        words
    };
    let wrapped: Vec<Player> = players.iter().enumerate().map(wrap).collect();
    let outcome = play::play(pair, &wrapped, interval, |_, _| ())?;
    if !outcome.faults.is_empty() {
        return Err(format!(
            "{} under strace: {}\n{}",
            pair.name,
            outcome.faults.join("\n"),
            outcome.account
        )
        .into());
    }
    let mut all = Vec::new();
    for at in 0..players.len() {
        all.push(on_objects(&strace::parse(&fs::read_to_string(log(at))?)));
        fs::remove_file(log(at))?;
    }
    Ok(all)
}

/// What a call on an IPC object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Receive,
    Send,
    /// Any other, by its name.
    Other(String),
}

impl Kind {
    fn word(&self) -> &str {
        match self {
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Other(name) => name,
        }
    }
}

const RECEIVE: &[&str] = &["read", "readv", "pread64", "preadv", "preadv2", "recvfrom", "recvmsg"];
const SEND: &[&str] = &["write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg"];
/// Calls that carry a message without a descriptor.
const MESSAGES: &[&str] =
    &["semop", "semtimedop", "msgsnd", "msgrcv", "rt_sigqueueinfo", "pidfd_send_signal", "rt_sigtimedwait"];

/// The calls of each thread on IPC objects, from its first message to its last. A thread without messages, but with
/// shared memory, is looked at between its first pause and its last.
fn on_objects(calls: &[Call]) -> Threads {
    let leader = calls.first().map_or(0, |call| call.thread);
    let mut threads: BTreeMap<u32, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        threads.entry(call.thread).or_default().push(call);
    }
    let window = |calls: &Vec<&Call>| -> Option<Vec<Kind>> {
        let between = |edge: &dyn Fn(&Call) -> bool| {
            let first = calls.iter().position(|call| edge(call))?;
            let last = calls.iter().rposition(|call| edge(call))?;
            calls.get(first..=last)
        };
        let messages = between(&|call| message(call) && kind(call, leader).is_some());
        let pauses = || between(&|call| call.name.ends_with("nanosleep"));
        let kinds: Vec<Kind> =
            messages.or_else(pauses)?.iter().filter_map(|call| kind(call, leader)).collect();
        (!kinds.is_empty()).then_some(kinds)
    };
    let mut found: Threads = threads.values().filter_map(window).collect();
    found.sort();
    found
}

/// Whether it has carried something.
fn message(call: &Call) -> bool {
    let name = call.name.as_str();
    let transfer = RECEIVE.contains(&name) || SEND.contains(&name);
    match call.result {
        Some(result) if transfer => result > 0,
        // Without undo it is the first operation of the set's creator, by which others see that the values are set.
        Some(_) if name.starts_with("sem") && !call.arguments.contains("SEM_UNDO") => false,
        Some(result) => result >= 0 && MESSAGES.contains(&name),
        None => false,
    }
}

/// What kind of call on an IPC object it is, if it is one.
fn kind(call: &Call, leader: u32) -> Option<Kind> {
    let name = call.name.as_str();
    let other = || Some(Kind::Other(name.to_owned()));
    // glibc makes semop of semtimedop and the other way round, as the architecture has it.
    if name == "semop" || name == "semtimedop" && call.arguments.ends_with(", NULL") {
        return Some(Kind::Other("semop".to_owned()));
    }
    if ["sem", "msg", "shm"].iter().any(|family| name.starts_with(family)) {
        return other();
    }
    if MESSAGES.contains(&name) || name == "kill" && call.has("SIGRT_8") {
        return other();
    }
    let object = |(number, target): (u32, &str)| {
        let standard = number == 1 || number == 2 || number == 0 && call.thread == leader;
        let memory_or_fifo = target.ends_with("/fifo") || target.starts_with("/dev/shm/");
        !standard && (memory_or_fifo || target.starts_with("pipe:[") || target.starts_with("socket:["))
    };
    if name == "close" || !call.descriptors().any(object) {
        return None;
    }
    match name {
        _ if RECEIVE.contains(&name) => Some(Kind::Receive),
        _ if SEND.contains(&name) => Some(Kind::Send),
        _ => other(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_messages_counts() {
        let log = "7 openat(AT_FDCWD, \"/x/fifo\", O_WRONLY) = 3</x/fifo>\n\
                   7 fstat(3</x/fifo>, {}) = 0\n\
                   7 write(3</x/fifo>, \"hello\", 5) = 5\n\
                   7 ppoll([{fd=3</x/fifo>}], 1, NULL) = 1\n\
                   7 write(1<pipe:[5]>, \"x\", 1) = 1\n\
                   7 ioctl(3</x/fifo>, FIONREAD, [0]) = 0\n\
                   7 pwritev2(3</x/fifo>, [{\"hello\"}], 1, -1, RWF_NOSIGNAL) = 5\n\
                   7 fcntl(3</x/fifo>, F_GETFL) = 1\n\
                   7 close(3</x/fifo>) = 0\n";
        let threads = on_objects(&strace::parse(log));
        assert_eq!(
            threads,
            [vec![Kind::Send, Kind::Other("ppoll".into()), Kind::Other("ioctl".into()), Kind::Send]]
        );
    }

    #[test]
    fn what_carries_no_descriptor_is_known_by_name() {
        let log = "7 semget(0x4d2, 1, 0666) = 3\n\
                   7 semtimedop(3, [{0, 1, SEM_UNDO}], 1, NULL) = 0\n\
                   7 semctl(3, 0, GETVAL) = 2\n";
        assert_eq!(shown(&on_objects(&strace::parse(log))), "semop");
    }
}
