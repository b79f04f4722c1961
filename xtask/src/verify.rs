//! `cargo xtask verify`: the deep end.

use crate::Verdict;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these parts
    parts: Vec<String>,
    /// With the longer counts
    #[arg(long)]
    long: bool,
}

pub(crate) fn run(options: &Options) -> Verdict {
    println!("{:?} {}", options.parts, options.long);
    Ok(true)
}
