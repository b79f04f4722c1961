//! `cargo xtask docs`: the reference of all crates that are published, warnings denied.

use crate::cargo::{self, cargo};
use crate::process::Ran;
use crate::{Result, Verdict, process};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Opens it in a browser
    #[arg(long)]
    open: bool,
}

pub(crate) fn run(options: &Options) -> Verdict {
    let ran = build(options.open)?;
    if ran.succeeded() {
        println!("{}", crate::root().join("target/doc/ipc_suite/index.html").display());
    } else {
        eprintln!("{}", ran.account());
    }
    Ok(ran.succeeded())
}

/// Runs rustdoc over the workspace.
pub(crate) fn build(open: bool) -> Result<Ran> {
    let mut command = cargo(cargo::whole("doc"));
    command.arg("--no-deps");
    if open {
        command.arg("--open");
    }
    process::run(command.env("RUSTDOCFLAGS", "-Dwarnings"), cargo::DEADLINE)
}
