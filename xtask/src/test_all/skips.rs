//! Which skips are expected: on the reference machine exactly those that docs/testing.md lists.

use std::collections::BTreeSet;
use std::fs;

use crate::{process, root};

/// What the reference machine has besides the toolchain and a C compiler.
const TOOLS: &[&str] = &["strace", "python3", "perl", "ipcs", "lsipc", "bash"];

/// The first kernel that has all that is used.
const KERNEL: (u32, u32) = (6, 18);

/// Tests are right with and without it.
const CAP_SYS_RESOURCE: u32 = 24;

/// Whether this is one: root with every capability but perhaps `CAP_SYS_RESOURCE`, not root in a container, on a new
/// kernel that has io_uring, with the tools.
fn reference() -> bool {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    kernel(&read("/proc/sys/kernel/osrelease")) >= Some(KERNEL)
        && all_capabilities(&read("/proc/self/status"), &read("/proc/sys/kernel/cap_last_cap"))
        && read("/proc/sys/kernel/io_uring_disabled").trim() != "2"
        && TOOLS.iter().all(|tool| process::find(tool).is_some())
}

/// `6.18.44-x` is (6, 18).
fn kernel(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn all_capabilities(status: &str, last: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let all = last.trim().parse::<u32>().ok().map(|last| u64::MAX >> 63_u32.saturating_sub(last));
    effective.is_some() && effective.map(|mask| mask | 1 << CAP_SYS_RESOURCE) == all
}

/// What is wrong with `skips`: one that the list does not hold. One of the list that was not skipped is good news, and
/// nothing is wrong where this is not a reference machine.
pub(crate) fn unexpected(skips: &[(String, String)]) -> Vec<String> {
    if !reference() {
        return Vec::new();
    }
    let page = fs::read_to_string(root().join("docs/testing.md")).unwrap_or_default();
    let expected = listed(&page);
    // Which targets are installed is the machine's business and proves nothing about the tests.
    let skipped = skips.iter().map(|(name, _)| name.as_str()).filter(|name| !name.starts_with("type-check"));
    let skipped: BTreeSet<&str> = skipped.collect();
    let unlisted = skipped.difference(&expected);
    unlisted.map(|name| format!("{name} was skipped; docs/testing.md does not expect it")).collect()
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
    fn a_reference_machine_is_known_by_its_kernel_and_rights() {
        assert_eq!(kernel("6.18.44-x\n"), Some((6, 18)));
        assert_eq!(kernel("odd"), None);
        assert!(all_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n", "40\n"));
        assert!(all_capabilities("CapEff:\t000001fffeffffff\n", "40\n"));
        assert!(!all_capabilities("CapEff:\t00000000a80425fb\n", "40\n"));
    }

    #[test]
    fn the_list_is_read_from_its_section_only() {
        let page = "# T\n| `x` | y |\n## Expected skips\n\n| test | reason |\n| --- | --- |\n| `a1_b` | c |\n\n## More\n| `z` | |\n";
        assert_eq!(listed(page).into_iter().collect::<Vec<_>>(), ["a1_b"]);
    }
}
