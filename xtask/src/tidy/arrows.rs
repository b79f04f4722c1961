//! The rules for Cargo.toml files: who may depend on whom.

use super::code::Rule;
use crate::metadata::{Dependency, Package};

const LEAVES: &[&str] = &["ipc-sys", "ipc-frame"];

pub(super) fn rules(packages: &[Package]) -> Vec<Rule> {
    vec![
        ("a mechanism crate depends on leaves only (and on ipc-sysv behind a feature of that name)", {
            edges(packages, |from, to| {
                from.published()
                    && from.name != "ipc-suite"
                    && !LEAVES.contains(&to.name.as_str())
                    && !(from.name == "ipc-shm" && to.name == "ipc-sysv" && to.optional)
            })
        }),
        ("a leaf depends on none of ours", edges(packages, |from, _| LEAVES.contains(&from.name.as_str()))),
        (
            "the facade's dependencies are features",
            edges(packages, |from, to| from.name == "ipc-suite" && !to.optional),
        ),
        (
            "nothing depends on the test kit, the benchmarks or xtask",
            edges(packages, |_, to| ["ipc-testkit", "ipc-bench", "xtask"].contains(&to.name.as_str())),
        ),
        ("xtask depends on nothing of ours", edges(packages, |from, _| from.name == "xtask")),
        ("published crates state Rust 1.85", {
            let wrong =
                |package: &&Package| package.published() && package.rust_version.as_deref() != Some("1.85");
            packages.iter().filter(wrong).map(|package| package.name.clone()).collect()
        }),
    ]
}

/// The dependencies at run time, within the workspace, that are wrong.
fn edges(packages: &[Package], wrong: impl Fn(&Package, &Dependency) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for from in packages {
        let ours = from.dependencies.iter().filter(|to| to.kind.is_none() && to.path.is_some());
        found.extend(ours.filter(|to| wrong(from, to)).map(|to| format!("{} → {}", from.name, to.name)));
    }
    found
}
