//! Unix sockets, and TCP served by the same handlers.

use super::{Pair, Says, When, role};

pub(super) static PAIRS: &[Pair] = &[
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
];
