//! What ipc-pipe promises, proven between real processes; the rows are those of docs/testing.md.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod atomicity;
mod end_of_file;
mod frames;
mod hostile;
mod inheritance;
mod interop;
mod interruption;
mod limits;
mod opening;
mod sharing;
mod sigpipe;
