//! cargo, and what it says in JSON about the programs that it has built.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::play::Programs;
use crate::process::{self, Ran};
use crate::{Result, root};

/// How long one cargo command may take; a first build on two slow cores is the longest.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20 * 60);

/// `cargo ARGUMENTS` in the workspace.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = process::command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    // xtask's own package is none of the commands' business.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// The arguments of a task for the whole workspace with all features: all but the benchmarks, whose features are the rivals.
pub(crate) fn whole(task: &str) -> [&str; 5] {
    [task, "--workspace", "--exclude", BENCHMARKS, "--all-features"]
}

/// The package that is built without its features, but for `cargo xtask bench --peers`.
pub(crate) const BENCHMARKS: &str = "ipc-bench";

/// Something that cargo has built and that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// `ipc-pipe`.
    pub(crate) package: String,
    /// The directory of its Cargo.toml.
    pub(crate) directory: PathBuf,
    /// `fifo_read`, `properties`, `ipc_pipe`.
    pub(crate) target: String,
    /// `lib`, `test`, `example`, `bin`.
    pub(crate) kind: String,
    /// Whether it is a test binary.
    pub(crate) test: bool,
    pub(crate) executable: PathBuf,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// The executables among the messages, in the order in which they came.
fn parse(messages: &str) -> Vec<Artifact> {
    let mut found = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let Ok(message) = serde_json::from_str::<Message>(line) else { continue };
        let (Some(id), Some(manifest), Some(target), Some(profile), Some(executable)) =
            (message.package_id, message.manifest_path, message.target, message.profile, message.executable)
        else {
            continue;
        };
        if message.reason == "compiler-artifact" {
            let directory = manifest.parent().map(PathBuf::from).unwrap_or_default();
            found.push(Artifact {
                package: package(&id),
                directory,
                target: target.name,
                kind: target.kind.into_iter().next().unwrap_or_default(),
                test: profile.test,
                executable,
            });
        }
    }
    found
}

/// The name in a package id: `path+file:///x/crates/ipc-pipe#0.1.0` or `…#name@0.1.0`.
fn package(id: &str) -> String {
    let (path, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => path.rsplit('/').next().unwrap_or(path).to_owned(),
    }
}

/// Runs a cargo command that builds, and gives what it built.
pub(crate) fn build(command: &mut Command) -> Result<(Ran, Vec<Artifact>)> {
    command.arg("--message-format=json-render-diagnostics");
    let mut ran = process::run(command, DEADLINE)?;
    let artifacts = parse(&ran.stdout);
    // The messages are for us; what a person wants to read is on standard error.
    ran.stdout.clear();
    Ok((ran, artifacts))
}

/// Builds the example programs of every crate and tells where each is.
pub(crate) fn examples() -> Result<Programs> {
    let (ran, artifacts) = build(cargo(whole("build")).arg("--examples"))?;
    if !ran.succeeded() {
        return Err(ran.account().into());
    }
    let examples = artifacts.into_iter().filter(|built| built.kind == "example");
    Ok(examples.map(|built| (built.target, built.executable)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_the_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","package_id":"path+file:///w/crates/ipc-pipe#0.1.0","#,
            r#""manifest_path":"/w/crates/ipc-pipe/Cargo.toml","target":{"kind":["example"],"#,
            r#""name":"fifo_read"},"profile":{"test":false},"executable":"/w/target/fifo_read"}"#,
            "\nnoise\n",
            r#"{"reason":"compiler-artifact","package_id":"registry+https://x#libc@0.2.1","#,
            r#""manifest_path":"/r/Cargo.toml","target":{"kind":["lib"],"name":"libc"},"#,
            r#""profile":{"test":false},"executable":null}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = parse(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].package, "ipc-pipe");
        assert_eq!(found[0].target, "fifo_read");
        assert_eq!(found[0].directory, PathBuf::from("/w/crates/ipc-pipe"));
        assert!(!found[0].test);
    }

    #[test]
    fn package_ids_have_two_forms() {
        assert_eq!(package("path+file:///w/crates/ipc-pipe#0.1.0"), "ipc-pipe");
        assert_eq!(package("path+file:///w/odd#ipc-pipe@0.1.0"), "ipc-pipe");
    }
}
