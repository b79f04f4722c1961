//! Whether cargo would package each published crate: the metadata it wants, the files it takes.

use std::time::Duration;

use super::tally::Tally;
use crate::cargo::cargo;
use crate::metadata::Package;
use crate::{Result, metadata, process};

const DEADLINE: Duration = Duration::from_secs(1200);

/// What a published crate must say of itself and this one does not.
fn missing(package: &Package) -> Vec<&'static str> {
    let all_features = || {
        let metadata = package.metadata.as_ref()?;
        metadata.get("docs")?.get("rs")?.get("all-features")?.as_bool()
    };
    let wanted = [
        ("a description", package.description.is_some()),
        ("a licence", package.license.is_some()),
        ("a readme", package.readme.is_some()),
        ("a link to its documentation", package.documentation.is_some()),
        ("keywords, at most 5", (1..=5).contains(&package.keywords.len())),
        ("categories", !package.categories.is_empty()),
        ("all-features for docs.rs", all_features() == Some(true)),
    ];
    wanted.into_iter().filter(|(_, there)| !there).map(|(what, _)| what).collect()
}

pub(super) fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    let (published, others): (Vec<_>, Vec<_>) =
        metadata::packages()?.into_iter().partition(Package::published);
    for package in &published {
        match missing(package).as_slice() {
            [] => tally.pass(),
            missing => tally.fail(format!("{} lacks {}", package.name, missing.join(", "))),
        }
    }
    let mut command =
        cargo(["package", "--workspace", "--no-verify", "--allow-dirty", "--offline", "--quiet"]);
    command.args(others.iter().flat_map(|package| ["--exclude", &package.name]));
    let ran = process::run(&mut command, DEADLINE)?;
    if ran.succeeded() && ran.stderr.contains("warning") {
        tally.fail(ran.account());
    } else {
        tally.add(Tally::of(&ran));
    }
    Ok(tally)
}
