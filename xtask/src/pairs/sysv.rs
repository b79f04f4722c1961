//! System V semaphores, queues and segments, and the tools that list and remove them.

use super::{Pair, Says, Twin, When, role};

pub(super) static PAIRS: &[Pair] = &[
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
];
