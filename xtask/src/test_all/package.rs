//! Whether cargo would package each published crate: the metadata it wants, the files it takes.

use std::time::Duration;

use serde::Deserialize;

use super::tally::Tally;
use crate::cargo::cargo;
use crate::{Result, process};

const DEADLINE: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    publish: Option<Vec<String>>,
    description: Option<String>,
    license: Option<String>,
    readme: Option<String>,
    documentation: Option<String>,
    keywords: Vec<String>,
    categories: Vec<String>,
    metadata: Option<serde_json::Value>,
}

impl Package {
    fn published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }

    /// What a published crate must say of itself and this one does not.
    fn missing(&self) -> Vec<&'static str> {
        let all_features = || {
            let metadata = self.metadata.as_ref()?;
            metadata.get("docs")?.get("rs")?.get("all-features")?.as_bool()
        };
        let wanted = [
            ("a description", self.description.is_some()),
            ("a licence", self.license.is_some()),
            ("a readme", self.readme.is_some()),
            ("a link to its documentation", self.documentation.is_some()),
            ("keywords, at most 5", (1..=5).contains(&self.keywords.len())),
            ("categories", !self.categories.is_empty()),
            ("all-features for docs.rs", all_features() == Some(true)),
        ];
        wanted.into_iter().filter(|(_, there)| !there).map(|(what, _)| what).collect()
    }
}

pub(super) fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let ran = process::run(&mut cargo(arguments), DEADLINE)?;
    let metadata: Metadata = serde_json::from_str(&ran.stdout)?;
    let (published, others): (Vec<_>, Vec<_>) = metadata.packages.into_iter().partition(Package::published);
    for package in &published {
        match package.missing().as_slice() {
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
