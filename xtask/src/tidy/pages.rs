//! The rules for what docs/ says about the code: tests that it names exist, dependencies are explained.

use std::collections::BTreeSet;
use std::fs;

use super::code::Rule;
use super::source::Source;
use crate::metadata::Package;
use crate::{Result, root};

/// How many of a hundred rows of the LTP checklist name a test, at least.
const NAMED: usize = 60;

pub(super) fn rules(sources: &[Source], packages: &[Package]) -> Result<Vec<Rule>> {
    let page = |name: &str| fs::read_to_string(root().join("docs").join(name));
    let (ltp, testing, architecture) = (page("ltp.md")?, page("testing.md")?, page("architecture.md")?);
    let pitfalls = fs::read_to_string(root().join("crates/ipc-suite/guide/pitfalls.md"))?;
    let functions = functions(sources);
    let unknown = |page: &str| {
        let names = rows(page).into_iter().flat_map(|row| tests_of(row.last().copied().unwrap_or_default()));
        names.filter(|name| !functions.contains(name)).map(str::to_owned).collect::<Vec<_>>()
    };
    let proofs: Vec<_> = pitfalls.lines().filter_map(|line| line.strip_prefix("**Test.**")).collect();
    let unknown_in = |line: &&&str| {
        tests_of(line).is_empty() || tests_of(line).iter().any(|name| !functions.contains(name))
    };
    let unproven = proofs.iter().filter(unknown_in).map(|line| (*line).to_owned()).collect();
    let ltp_rows = rows(&ltp);
    let named =
        ltp_rows.iter().filter(|row| !tests_of(row.last().copied().unwrap_or_default()).is_empty()).count();
    let share = if named * 100 < ltp_rows.len() * NAMED {
        vec![format!("{named} of {} rows", ltp_rows.len())]
    } else {
        Vec::new()
    };
    Ok(vec![
        ("the tests that docs/ltp.md names exist", unknown(&ltp)),
        ("the tests that docs/testing.md names exist", unknown(section(&testing, "Rows"))),
        ("each mistake of the guide's pitfalls names tests that exist", unproven),
        ("at least 60 % of the rows of docs/ltp.md name a test", share),
        ("docs/architecture.md has a line for each dependency", unexplained(&architecture, packages)),
    ])
}

/// The functions of the workspace, tests among them.
fn functions(sources: &[Source]) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for source in sources {
        for (at, _) in source.code.match_indices("fn ") {
            let rest = source.code.get(at + 3..).unwrap_or_default();
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.extend(rest.get(..end));
        }
    }
    found
}

/// The cells of each row of each table, the headers left out.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = page.lines().collect();
    let rule = |line: &str| line.starts_with("| ---") || line.starts_with("|---");
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let header = lines.get(at + 1).is_some_and(|next| rule(next));
        if line.starts_with('|') && !rule(line) && !header {
            found.push(line.trim_matches('|').split(" | ").map(str::trim).collect());
        }
    }
    found
}

/// The names in backticks that can be a test's: a sentence in lower case, of three words at least.
fn tests_of(cell: &str) -> Vec<&str> {
    let test = |name: &&str| {
        name.matches('_').count() > 1
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(|name| name.rsplit("::").next().unwrap_or(name))
        .filter(test)
        .collect()
}

/// What stands under a heading of the second level.
pub(super) fn section<'a>(page: &'a str, name: &str) -> &'a str {
    let rest = page.split_once(&format!("\n## {name}\n")).map_or("", |(_, rest)| rest);
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

fn unexplained(architecture: &str, packages: &[Package]) -> Vec<String> {
    let section = section(architecture, "Dependencies");
    let foreign = packages.iter().flat_map(|package| &package.dependencies).filter(|one| one.path.is_none());
    let missing: BTreeSet<&str> = foreign
        .map(|dependency| dependency.name.as_str())
        .filter(|name| !section.contains(&format!("`{name}`")))
        .collect();
    missing.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# P\n\n## Rows\n\n| a | b |\n| --- | --- |\n| x | `a1_b_c` and `msg_type` |\n| y | impossible: `c()` |\n\n## More\n`z`\n";

    #[test]
    fn tests_are_found_in_the_last_cell() {
        let rows = rows(PAGE);
        assert_eq!(rows, [["x", "`a1_b_c` and `msg_type`"], ["y", "impossible: `c()`"]]);
        let names: Vec<_> = rows.iter().flat_map(|row| tests_of(row[1])).collect();
        assert_eq!(names, ["a1_b_c"]);
    }

    #[test]
    fn sections_end_at_the_next() {
        assert!(section(PAGE, "Rows").contains("a1_b_c") && !section(PAGE, "Rows").contains('z'));
        assert_eq!(section(PAGE, "None"), "");
    }
}
