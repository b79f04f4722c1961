//! What ipc-pipe promises, proven between real processes; the rows are those of docs/testing.md.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod atomicity;
mod end_of_file;
mod inheritance;
mod opening;
mod sigpipe;
