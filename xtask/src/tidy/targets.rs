//! The published crates type-check for every target that they promise and that is installed.

use crate::Result;
use crate::cargo::{self, cargo};
use crate::metadata::Package;
use crate::process;
use crate::test_all::tally::Tally;

const TARGETS: &[&str] = &[
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
];

pub(super) fn check(packages: &[Package]) -> Result<Tally> {
    let mut tally = Tally::default();
    for target in TARGETS {
        if !installed(target)? {
            tally.skip(format!("type-check for {target}"), "the target is not installed");
            continue;
        }
        let mut command = cargo(["check", "--quiet", "--all-features", "--target", target]);
        let published = packages.iter().filter(|package| package.published());
        command.args(published.flat_map(|package| ["--package", &package.name]));
        tally.add(Tally::of(&process::run(&mut command, cargo::DEADLINE)?));
    }
    Ok(tally)
}

/// Whether rustc has a standard library for it.
fn installed(target: &str) -> Result<bool> {
    let mut rustc = process::command(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--print", "target-libdir", "--target", target]);
    let ran = process::run(&mut rustc, cargo::DEADLINE)?;
    let directory = ran.stdout.trim();
    let has_std = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("libstd-");
    Ok(ran.succeeded() && std::fs::read_dir(directory).is_ok_and(|entries| entries.flatten().any(has_std)))
}
