//! What `cargo metadata` says about the packages of the workspace.

use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;
use crate::cargo::{self, cargo};
use crate::process;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A Cargo.toml of ours.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) publish: Option<Vec<String>>,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) readme: Option<String>,
    pub(crate) documentation: Option<String>,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) metadata: Option<serde_json::Value>,
    pub(crate) rust_version: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None`: needed when the program runs.
    pub(crate) kind: Option<String>,
    pub(crate) optional: bool,
    /// Where it is, if it is one of ours.
    pub(crate) path: Option<PathBuf>,
}

impl Package {
    /// Whether it goes to the registry.
    pub(crate) fn published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }
}

/// The packages of the workspace.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let ran = process::run(&mut cargo(["metadata", "--no-deps", "--format-version", "1"]), cargo::DEADLINE)?;
    if !ran.succeeded() {
        return Err(ran.account().into());
    }
    let metadata: Metadata = serde_json::from_str(&ran.stdout)?;
    Ok(metadata.packages)
}
