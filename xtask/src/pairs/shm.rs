//! POSIX shared memory, and a channel of each kind in it. The channels have no twins: C does not know their layout.

use super::{Pair, Says, Twin, When, role};

pub(super) static PAIRS: &[Pair] = &[
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
        name: "lossless",
        package: "ipc-shm",
        mechanism: "broadcast, lossless",
        crosses: "numbers, all of them to both readers",
        processes: 3,
        roles: &[
            role("channel_sender", &["lossless", "--interval", "{interval}", "{name}"])
                .twin(Twin::None)
                .interrupted(When::Says(2, "received {*}"))
                .says(&[Says::Among("sent 1")]),
            role("channel_receiver", &["lossless", "{name}"])
                .twin(Twin::None)
                .starts(When::Says(0, "sent 1"))
                .says(&[Says::Among("received {*}")]),
            role("channel_receiver", &["lossless", "{name}"])
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
];
