//! The C twins, compiled on the spot.

use std::fs;
use std::time::Duration;

use crate::play::Programs;
use crate::{Result, process, root};

const DEADLINE: Duration = Duration::from_secs(600);

/// Compiles every program of xtask/twins into target/twins and tells where each is. A twin that is newer than all of
/// the sources stays as it is.
pub(crate) fn compile() -> Result<Programs> {
    let (from, to) = (root().join("xtask/twins"), root().join("target/twins"));
    fs::create_dir_all(&to)?;
    let mut newest = std::time::SystemTime::UNIX_EPOCH;
    let mut sources = Vec::new();
    for entry in fs::read_dir(&from)? {
        let path = entry?.path();
        newest = newest.max(fs::metadata(&path)?.modified()?);
        if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
    let mut found = Programs::new();
    for source in sources {
        let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let program = to.join(&name);
        if !fs::metadata(&program).and_then(|data| data.modified()).is_ok_and(|built| built > newest) {
            let mut cc = process::command("cc");
            cc.args(["-Wall", "-Wextra", "-Werror", "-O2", "-pthread", "-o"]).arg(&program).arg(&source);
            let ran = process::run(&mut cc, DEADLINE)?;
            if !ran.succeeded() {
                return Err(ran.account().into());
            }
        }
        found.insert(name, program);
    }
    Ok(found)
}
