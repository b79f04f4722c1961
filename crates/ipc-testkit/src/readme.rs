//! The code in the pages that no crate's documentation shows, compiled and run as doctests.

macro_rules! pages {
    ($($name:ident: $path:literal,)+) => { $(#[doc = include_str!($path)] pub mod $name {})+ };
}

pages! {
    readme: "../../../README.md",
    architecture: "../../../docs/architecture.md",
    safety: "../../../docs/safety.md",
    testing: "../../../docs/testing.md",
    frame: "../../ipc-frame/README.md",
    pipe: "../../ipc-pipe/README.md",
    shm: "../../ipc-shm/README.md",
    signal: "../../ipc-signal/README.md",
    suite: "../../ipc-suite/README.md",
    sysv: "../../ipc-sysv/README.md",
    uds: "../../ipc-uds/README.md",
}
