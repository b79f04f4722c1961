//! Signals, and the tracing of a child.

use super::{End, Pair, SIGINT, Says, Twin, When, role};

pub(super) static PAIRS: &[Pair] = &[
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
