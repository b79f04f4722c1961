//! What ipc-signal promises, proven between real processes; the rows are those of docs/testing.md.

mod trace;
