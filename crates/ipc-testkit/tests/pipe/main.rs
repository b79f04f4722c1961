//! What ipc-pipe promises, proven between real processes; the rows are those of docs/testing.md.
