//! `cargo xtask`: dispatch only; a file per task.

fn main() {}
