//! The one table of the classic programs: which belong together, in which order they start, and what each must say.
//! The demo shows it, the C matrix plays it in Rust and in C, and the system call counts are taken from it.
//!
//! In arguments and lines stand for what is unique to a run: `{file}` an existing file, `{fifo}` and `{socket}` paths
//! that do not exist, `{key}` a System V key (`{hexkey}` as ipcs shows it), `{name}` a name of POSIX shared memory,
//! `{interval}` milliseconds, `{pid N}` the process id of role N, `{uid}` and `{gid}` ours, `{letters}` as many of A to
//! Z, again and again, as fit into 4096 bytes with a NUL, `{*}` any text, and `{heard}` what stood for `{*}` in the line
//! at which the role was started.

/// Programs that talk to each other.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    pub(crate) mechanism: &'static str,
    /// What goes from one process to another.
    pub(crate) crosses: &'static str,
    /// How many processes take part, those that the programs start included.
    pub(crate) processes: usize,
    pub(crate) roles: &'static [Role],
    /// Shown by the demo; the others are variations that only the tests play.
    pub(crate) shown: bool,
}

/// One program of a pair.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) program: &'static str,
    pub(crate) twin: Twin,
    pub(crate) arguments: &'static [&'static str],
    pub(crate) input: &'static str,
    pub(crate) starts: When,
    /// When it gets SIGINT, if it does.
    pub(crate) interrupted: Option<When>,
    pub(crate) says: &'static [Says],
    /// Whether its lines are too long for a column.
    pub(crate) wide: bool,
    /// Whether it says something on standard error.
    pub(crate) complains: bool,
    pub(crate) ends: End,
}

/// What stands in for the Rust program in the C matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Twin {
    /// The program of the same name in xtask/twins.
    C,
    /// This command, where it is installed.
    Command(&'static [&'static str]),
    /// Nothing: the program has no classic counterpart.
    None,
}

/// A moment in the course of a play.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    AtOnce,
    /// When a role has said this line.
    Says(usize, &'static str),
    /// When a role has ended.
    Ended(usize),
}

/// What a program prints.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Says {
    /// This line.
    Line(&'static str),
    /// Lines with `before` in front of what together is `text`: a read may bring what several writes sent.
    Joined { before: &'static str, text: &'static str },
    /// Lines with `before` in front of a text that grows until it is `to`, seen as often as one looks.
    Grows { before: &'static str, to: &'static str },
    /// Any lines, one of which is this.
    Among(&'static str),
}

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Status(i32),
    Signal(i32),
}

impl Pair {
    /// Whether every program of it can be played by something that is not ours.
    pub(crate) fn has_twins(&self) -> bool {
        self.roles.iter().all(|role| !matches!(role.twin, Twin::None))
    }
}

const fn role(program: &'static str, arguments: &'static [&'static str]) -> Role {
    Role {
        program,
        twin: Twin::C,
        arguments,
        input: "",
        starts: When::AtOnce,
        interrupted: None,
        says: &[],
        wide: false,
        complains: false,
        ends: End::Status(0),
    }
}

impl Role {
    const fn twin(mut self, twin: Twin) -> Self {
        self.twin = twin;
        self
    }

    const fn reads(mut self, input: &'static str) -> Self {
        self.input = input;
        self
    }

    const fn starts(mut self, when: When) -> Self {
        self.starts = when;
        self
    }

    const fn interrupted(mut self, when: When) -> Self {
        self.interrupted = Some(when);
        self
    }

    const fn says(mut self, lines: &'static [Says]) -> Self {
        self.says = lines;
        self
    }

    const fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    const fn complains(mut self) -> Self {
        self.complains = true;
        self
    }

    const fn ends(mut self, end: End) -> Self {
        self.ends = end;
        self
    }
}

const SIGINT: i32 = 2;

pub(crate) static PAIRS: &[Pair] = &[
    Pair {
        name: "anonymous",
        package: "ipc-pipe",
        mechanism: "pipe",
        crosses: "5 bytes, parent to child",
        processes: 2,
        roles: &[role("anonymous", &[]).says(&[Says::Line("buf is hello")])],
        shown: true,
    },
    Pair {
        name: "siblings",
        package: "ipc-pipe",
        mechanism: "pipe, siblings",
        crosses: "5 bytes, child to child",
        processes: 3,
        roles: &[role("anonymous", &["--siblings"]).says(&[Says::Line("buf is hello")])],
        shown: true,
    },
    Pair {
        name: "fifo",
        package: "ipc-pipe",
        mechanism: "FIFO",
        crosses: "3 × 5 bytes, then end of file",
        processes: 2,
        roles: &[
            role("fifo_read", &["{fifo}"])
                .says(&[Says::Joined { before: "buf is ", text: "hellohellohello" }]),
            role("fifo_write", &["--count", "3", "--interval", "{interval}", "{fifo}"]),
        ],
        shown: true,
    },
    Pair {
        name: "fifo-reader-gone",
        package: "ipc-pipe",
        mechanism: "FIFO whose reader goes",
        crosses: "5 bytes, then EPIPE",
        processes: 2,
        roles: &[
            role("fifo_read", &["{fifo}"])
                .interrupted(When::Says(0, "buf is {*}"))
                .says(&[Says::Among("buf is hello")])
                .ends(End::Signal(SIGINT)),
            role("fifo_write", &["--interval", "{interval}", "{fifo}"]).complains(),
        ],
        shown: false,
    },
    Pair {
        name: "semaphore",
        package: "ipc-sysv",
        mechanism: "System V semaphore",
        crosses: "the value of one semaphore",
        processes: 2,
        roles: &[
            role("sem_add", &["--key", "{key}"]).says(&[Says::Line("Semaphore value: 2")]),
            role("sem_sub", &["--key", "{key}"])
                .starts(When::Ended(0))
                .says(&[Says::Line("Semaphore value: 0"), Says::Line("Semaphore destroyed")]),
        ],
        shown: true,
    },
    Pair {
        name: "message",
        package: "ipc-sysv",
        mechanism: "System V message queue",
        crosses: "1 message of 128 bytes",
        processes: 2,
        roles: &[
            role("message_sender", &["{file}"]),
            role("message_reader", &["{file}"]).starts(When::Ended(0)).says(&[Says::Line("hello1")]),
        ],
        shown: true,
    },
    Pair {
        name: "message-types",
        package: "ipc-sysv",
        mechanism: "message queue by type",
        crosses: "2 messages, the lower type first",
        processes: 4,
        roles: &[
            role("message_sender", &["--type", "9", "{file}", "nine"]),
            role("message_sender", &["--type", "4", "{file}", "four"]).starts(When::Ended(0)),
            role("message_reader", &["--type", "-9", "--keep", "{file}"])
                .starts(When::Ended(1))
                .says(&[Says::Line("four")]),
            role("message_reader", &["--type", "9", "{file}"])
                .starts(When::Ended(2))
                .says(&[Says::Line("nine")]),
        ],
        shown: false,
    },
    Pair {
        name: "shm",
        package: "ipc-sysv",
        mechanism: "System V shared memory",
        crosses: "a text that grows in place",
        processes: 2,
        roles: &[
            role("shm_server", &["--interval", "{interval}", "{file}"])
                .interrupted(When::Says(0, "client# ABC"))
                .says(&[Says::Grows { before: "client# ", to: "ABC" }]),
            role("shm_client", &["--count", "3", "--interval", "{interval}", "{file}"])
                .starts(When::Says(0, "client# {*}")),
        ],
        shown: true,
    },
    Pair {
        name: "shm-end",
        package: "ipc-sysv",
        mechanism: "a segment written to its end",
        crosses: "4095 letters and their NUL",
        processes: 2,
        roles: &[
            role("shm_server", &["--interval", "{interval}", "{file}"])
                .interrupted(When::Says(0, "client# {letters}"))
                .says(&[Says::Grows { before: "client# ", to: "{letters}" }]),
            role("shm_client", &["--count", "5000", "--interval", "0", "{file}"])
                .starts(When::Says(0, "client# {*}")),
        ],
        shown: false,
    },
    Pair {
        name: "ipcs",
        package: "ipc-sysv",
        mechanism: "ipcs and ipcrm",
        crosses: "what the kernel holds, by key",
        processes: 3,
        roles: &[
            role("message_sender", &["--key", "{key}", "seen from outside"]),
            role("ipcs", &["-q"])
                .twin(Twin::Command(&["ipcs"]))
                .starts(When::Ended(0))
                .says(&[Says::Among("{hexkey} {*} 128          1           ")]),
            role("ipcrm", &["-Q", "{key}"]).twin(Twin::Command(&["ipcrm"])).starts(When::Ended(1)),
        ],
        shown: true,
    },
    Pair {
        name: "signal",
        package: "ipc-signal",
        mechanism: "sigqueue",
        crosses: "signal 40 with the value 123456",
        processes: 2,
        roles: &[
            role("signal_receiver", &["--count", "1"]).says(&[
                Says::Line("pid :{pid 0}"),
                Says::Line("sig = 40"),
                Says::Line("si_signo = 40"),
                Says::Line("si_code = -1"),
                Says::Line("si_pid = {pid 1}"),
                Says::Line("si_value = 123456"),
            ]),
            role("signal_sender", &["{pid 0}"]).starts(When::Says(0, "pid :{*}")).ends(End::Signal(SIGINT)),
        ],
        shown: true,
    },
    Pair {
        name: "posix",
        package: "ipc-shm",
        mechanism: "POSIX shared memory",
        crosses: "a text that grows in place",
        processes: 2,
        roles: &[
            role("posix_server", &["--interval", "{interval}", "{name}"])
                .interrupted(When::Says(0, "client# ABC"))
                .says(&[Says::Grows { before: "client# ", to: "ABC" }]),
            role("posix_client", &["--count", "3", "--interval", "{interval}", "{name}"])
                .starts(When::Says(0, "client# {*}")),
        ],
        shown: true,
    },
    Pair {
        name: "spsc",
        package: "ipc-shm",
        mechanism: "spsc, and shm_top",
        crosses: "numbers, one sender to one receiver",
        processes: 3,
        roles: &[
            role("channel_sender", &["spsc", "--interval", "{interval}", "{name}"])
                .twin(Twin::None)
                .interrupted(When::Ended(2))
                .says(&[Says::Among("sent 1"), Says::Among("sent 2")]),
            role("channel_receiver", &["spsc", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(0, "sent 1"))
                .says(&[Says::Among("received 1"), Says::Among("received 2")]),
            role("shm_top", &["--once", "--interval", "{interval}", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(1, "received 2"))
                .wide()
                .says(&[Says::Line("CHANNEL{*}"), Says::Line("{*} spsc {*} {pid 0} {*} {pid 1} {*}/s{*}")]),
        ],
        shown: true,
    },
    Pair {
        name: "squares",
        package: "ipc-shm",
        mechanism: "request, by invitation",
        crosses: "questions of two clients and their answers",
        processes: 3,
        roles: &[
            role("request_server", &["{socket}"]).twin(Twin::None).interrupted(When::Ended(2)).says(&[
                Says::Line("meeting at {socket}"),
                Says::Among("LaneId(0) asks for 3"),
                Says::Among("LaneId(0): the other end is gone"),
                Says::Among("LaneId(1) asks for 5"),
            ]),
            role("request_client", &["{socket}", "3", "4"])
                .twin(Twin::None)
                .starts(When::Says(0, "meeting at {*}"))
                .says(&[Says::Line("the square of 3 is 9"), Says::Line("the square of 4 is 16")]),
            role("request_client", &["{socket}", "5"])
                .twin(Twin::None)
                .starts(When::Ended(1))
                .says(&[Says::Line("the square of 5 is 25")]),
        ],
        shown: true,
    },
    Pair {
        name: "mpsc",
        package: "ipc-shm",
        mechanism: "mpsc",
        crosses: "numbers, two senders to one receiver",
        processes: 3,
        roles: &[
            role("channel_sender", &["mpsc", "--interval", "{interval}", "{name}"])
                .twin(Twin::None)
                .interrupted(When::Ended(2))
                .says(&[Says::Among("sent 1")]),
            role("channel_receiver", &["mpsc", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(0, "sent 1"))
                .says(&[
                    Says::Among("received 1 from {pid 0}"),
                    Says::Among("received 1 from {pid 2}"),
                    Says::Among("received 2 from {pid 2}"),
                ]),
            role("channel_sender", &["mpsc", "--interval", "{interval}", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(1, "received {*}"))
                .interrupted(When::Says(1, "received 2 from {pid 2}"))
                .says(&[Says::Among("sent 2")]),
        ],
        shown: true,
    },
    Pair {
        name: "mpmc",
        package: "ipc-shm",
        mechanism: "mpmc",
        crosses: "numbers, each to one of two receivers",
        processes: 3,
        roles: &[
            role("channel_sender", &["mpmc", "--interval", "{interval}", "{name}"])
                .twin(Twin::None)
                .interrupted(When::Says(2, "done"))
                .says(&[Says::Among("sent 1")]),
            role("channel_receiver", &["mpmc", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(0, "sent 1"))
                .says(&[Says::Among("received 1"), Says::Among("done")]),
            role("channel_receiver", &["mpmc", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(1, "received {*}"))
                .says(&[Says::Among("received {*}"), Says::Among("done")]),
        ],
        shown: true,
    },
    Pair {
        name: "broadcast",
        package: "ipc-shm",
        mechanism: "broadcast",
        crosses: "numbers, each to both readers",
        processes: 3,
        roles: &[
            role("channel_sender", &["broadcast", "--interval", "{interval}", "{name}"])
                .twin(Twin::None)
                .interrupted(When::Says(2, "received {*}"))
                .says(&[Says::Among("sent 1")]),
            role("channel_receiver", &["broadcast", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(0, "sent 1"))
                .says(&[Says::Among("received {*}")]),
            role("channel_receiver", &["broadcast", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(1, "received {*}"))
                .says(&[Says::Among("received {*}")]),
        ],
        shown: true,
    },
    Pair {
        name: "latest",
        package: "ipc-shm",
        mechanism: "latest",
        crosses: "the newest of many numbers",
        processes: 2,
        roles: &[
            role("channel_sender", &["latest", "--interval", "{interval}", "{name}"])
                .twin(Twin::None)
                .interrupted(When::Says(1, "now {*}"))
                .says(&[Says::Among("sent 1")]),
            role("channel_receiver", &["latest", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(0, "sent 1"))
                .says(&[Says::Among("now {*}")]),
        ],
        shown: true,
    },
    Pair {
        name: "bytes",
        package: "ipc-shm",
        mechanism: "bytes",
        crosses: "messages that grow",
        processes: 2,
        roles: &[
            role("channel_sender", &["bytes", "--interval", "{interval}", "{name}"])
                .twin(Twin::None)
                .interrupted(When::Says(1, "received 3 bytes: ***"))
                .says(&[Says::Among("sent 3")]),
            role("channel_receiver", &["bytes", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(0, "sent 1"))
                .says(&[Says::Among("received 1 bytes: *"), Says::Among("received 3 bytes: ***")]),
        ],
        shown: true,
    },
    Pair {
        name: "request",
        package: "ipc-shm",
        mechanism: "request",
        crosses: "3 questions and their answers",
        processes: 2,
        roles: &[
            role("channel_sender", &["request", "--count", "3", "--interval", "{interval}", "{name}"])
                .twin(Twin::None)
                .says(&[Says::Among("1 squared?"), Says::Among("3 squared is 9")]),
            role("channel_receiver", &["request", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(0, "{*}"))
                .says(&[Says::Line("answered 1"), Says::Line("answered 2"), Says::Line("answered 3")]),
        ],
        shown: true,
    },
    Pair {
        name: "local",
        package: "ipc-uds",
        mechanism: "Unix socket",
        crosses: "3 lines and their answers",
        processes: 3,
        roles: &[
            role("local_socket_server", &["{socket}"]).interrupted(When::Ended(2)).says(&[
                Says::Among("{*}pid {pid 1}, uid {uid}, gid {gid}{*}"),
                Says::Among("{*}pid {pid 2}, uid {uid}, gid {gid}{*}"),
            ]),
            role("local_socket_client", &["{socket}"])
                .reads("hello\nwho am i\n")
                .starts(When::Says(0, "{*}"))
                .says(&[Says::Line("HELLO"), Says::Line("WHO AM I")]),
            role("local_socket_client", &["--unbound", "{socket}"])
                .reads("no name\n")
                .starts(When::Ended(1))
                .says(&[Says::Line("NO NAME")]),
        ],
        shown: true,
    },
    Pair {
        name: "tcp",
        package: "ipc-uds",
        mechanism: "TCP over IPv4",
        crosses: "2 lines and their answers",
        processes: 2,
        roles: &[
            role("tcp_server", &["127.0.0.1:0"])
                .interrupted(When::Ended(1))
                .says(&[Says::Among("{*}127.0.0.1:{*}")]),
            role("tcp_client", &["{heard}"])
                .reads("hello\nworld\n")
                .starts(When::Says(0, "listening on {*}"))
                .says(&[Says::Line("HELLO"), Says::Line("WORLD")]),
        ],
        shown: true,
    },
    Pair {
        name: "tcp6",
        package: "ipc-uds",
        mechanism: "TCP over IPv6",
        crosses: "2 lines and their answers",
        processes: 2,
        roles: &[
            role("tcp_server", &["[::1]:0"]).interrupted(When::Ended(1)).says(&[Says::Among("{*}[::1]:{*}")]),
            role("tcp_client", &["{heard}"])
                .reads("hello\nworld\n")
                .starts(When::Says(0, "listening on {*}"))
                .says(&[Says::Line("HELLO"), Says::Line("WORLD")]),
        ],
        shown: true,
    },
    Pair {
        name: "signals",
        package: "ipc-signal",
        mechanism: "kill -l",
        crosses: "nothing: the names of all signals",
        processes: 1,
        roles: &[role("signals", &[])
            .twin(Twin::Command(&["bash", "-c", "kill -l"]))
            .says(&[Says::Among("{*}15) SIGTERM{*}"), Says::Among("{*}64) SIGRTMAX{*}")])],
        shown: true,
    },
    Pair {
        name: "trace",
        package: "ipc-signal",
        mechanism: "ptrace",
        crosses: "the signals of a traced process",
        processes: 2,
        roles: &[role("trace", &["--", "sh", "-c", "kill -USR1 $$"])
            .twin(Twin::None)
            .says(&[Says::Among("{*}SIGUSR1{*}")])],
        shown: true,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_moments_name_roles() {
        let names: BTreeSet<_> = PAIRS.iter().map(|pair| pair.name).collect();
        assert_eq!(names.len(), PAIRS.len());
        for pair in PAIRS {
            for role in pair.roles {
                for when in [Some(role.starts), role.interrupted].into_iter().flatten() {
                    if let When::Says(other, _) | When::Ended(other) = when {
                        assert!(other < pair.roles.len(), "{}", pair.name);
                    }
                }
            }
            assert!(pair.roles.iter().any(|role| matches!(role.starts, When::AtOnce)), "{}", pair.name);
        }
    }
}
