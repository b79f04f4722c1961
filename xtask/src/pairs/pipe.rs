//! Pipes and FIFOs.

use super::{End, Pair, SIGINT, Says, When, role};

pub(super) static PAIRS: &[Pair] = &[
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
];
