//! Which skips are expected: on the reference machine exactly those that docs/testing.md lists.

use std::collections::BTreeSet;
use std::fs;

use crate::{process, root};

/// What the reference machine has besides the toolchain with its targets and a C compiler.
const TOOLS: &[&str] = &["strace", "python3", "perl", "ipcs", "lsipc", "bash"];

/// What is wrong with `skips`: one that the list does not hold, or one of the list that was not skipped. Nothing is
/// wrong where this is not the reference machine.
pub(crate) fn unexpected(skips: &[(String, String)]) -> Vec<String> {
    let reference = nix::unistd::getuid().is_root() && TOOLS.iter().all(|tool| process::find(tool).is_some());
    let page = fs::read_to_string(root().join("docs/testing.md")).unwrap_or_default();
    if !reference {
        return Vec::new();
    }
    let expected = listed(&page);
    let skipped: BTreeSet<&str> = skips.iter().map(|(name, _)| name.as_str()).collect();
    let unlisted = skipped.difference(&expected);
    let unlisted = unlisted.map(|name| format!("{name} was skipped; docs/testing.md does not expect it"));
    let stale = expected.difference(&skipped);
    let stale = stale.map(|name| format!("{name} was not skipped; docs/testing.md expects that it is"));
    unlisted.chain(stale).collect()
}

/// The names in backticks that begin a row of the table under "Expected skips".
fn listed(page: &str) -> BTreeSet<&str> {
    let section = page.split_once("\n## Expected skips").map_or("", |(_, rest)| rest);
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let name = |line| str::strip_prefix(line, "| `")?.split_once('`').map(|(name, _)| name);
    section.lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_from_its_section_only() {
        let page = "# T\n| `x` | y |\n## Expected skips\n\n| test | reason |\n| --- | --- |\n| `a1_b` | c |\n\n## More\n| `z` | |\n";
        assert_eq!(listed(page).into_iter().collect::<Vec<_>>(), ["a1_b"]);
    }
}
