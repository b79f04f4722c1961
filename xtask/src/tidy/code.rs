//! The rules for Rust files.

use super::source::Source;

/// A name and where it is broken.
pub(super) type Rule = (&'static str, Vec<String>);

/// More lines than this in one room want a wall.
const ROOM: usize = 600;

/// The facade is a door and no house.
const FACADE: (&str, usize) = ("crates/ipc-suite/src/lib.rs", 80);

pub(super) fn rules(sources: &[Source]) -> Vec<Rule> {
    vec![
        ("every file begins with //!", files(sources, |file| !begins(&file.text))),
        (
            "unsafe only in ipc-sys and in files that open with #![expect(unsafe_code, reason = …)]",
            files(sources, |file| unsafe_count(&file.code) > 0 && !may_be_unsafe(file)),
        ),
        (
            "thread::sleep only where an expectation says why",
            lines(sources, |file, at, code| {
                code.contains("thread::sleep") && !expected_before(file, at, "disallowed_methods")
            }),
        ),
        (
            "nothing is left to do",
            lines(sources, |file, at, code| {
                let text = file.text.lines().nth(at).unwrap_or_default();
                ["todo!", "unimplemented!", "dbg!"].iter().any(|name| code.contains(name))
                    || [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")]
                        .iter()
                        .any(|name| text.contains(name))
            }),
        ),
        ("no test is ignored", lines(sources, |_, _, code| code.trim_start().starts_with("#[ignore"))),
        ("a room has at most 600 lines", files(sources, |file| file.text.lines().count() > ROOM)),
        (
            "the facade has at most 80 lines",
            files(sources, |file| file.path == FACADE.0 && file.text.lines().count() > FACADE.1),
        ),
        (
            "a room is named after what it is",
            files(sources, |file| {
                let names = ["util", "utils", "common", "misc", "helper", "helpers"];
                names.iter().any(|name| {
                    file.path.ends_with(&format!("/{name}.rs")) || file.path.contains(&format!("/{name}/"))
                })
            }),
        ),
    ]
}

/// The files with unsafe code and how often the word stands in each.
pub(super) fn unsafe_files(sources: &[Source]) -> Vec<(&str, usize)> {
    let counted = sources.iter().map(|file| (file.path.as_str(), unsafe_count(&file.code)));
    counted.filter(|(_, count)| *count > 0).collect()
}

fn files(sources: &[Source], broken: impl Fn(&Source) -> bool) -> Vec<String> {
    sources.iter().filter(|file| broken(file)).map(|file| file.path.clone()).collect()
}

fn lines(sources: &[Source], broken: impl Fn(&Source, usize, &str) -> bool) -> Vec<String> {
    let mut places = Vec::new();
    for file in sources {
        let numbers = file.code.lines().enumerate().filter(|(at, code)| broken(file, *at, code));
        places.extend(numbers.map(|(at, _)| format!("{}:{}", file.path, at + 1)));
    }
    places
}

/// The first line that says something is `//!`, also under a shebang or `#![…]` of no more than a line.
fn begins(text: &str) -> bool {
    text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//!"))
}

fn unsafe_count(code: &str) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.split(|c| !word(c)).filter(|one| *one == "unsafe").count()
}

fn may_be_unsafe(file: &Source) -> bool {
    let text: String = file.text.split_whitespace().collect();
    let opens = ["#![expect(unsafe_code,reason=", "#![cfg_attr(test,expect(unsafe_code,reason="];
    file.path.starts_with("crates/ipc-sys/") || opens.iter().any(|open| text.contains(open))
}

/// Whether one of the five lines above expects this lint.
fn expected_before(file: &Source, at: usize, lint: &str) -> bool {
    let above = file.text.lines().take(at).skip(at.saturating_sub(5));
    let text: String = above.collect();
    text.contains("#[expect(") && text.contains(lint) && text.contains("reason")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::code;

    fn file(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into(), code: code(text) }
    }

    #[test]
    fn unsafe_is_counted_in_code_only() {
        assert_eq!(unsafe_count(&code("//! unsafe\nunsafe { f() } // unsafe\n\"unsafe\" unsafe_code")), 1);
        let open = file("crates/a/src/b.rs", "//! A.\n#![expect(\n    unsafe_code, reason = \"b\")]\n");
        assert!(may_be_unsafe(&open));
        assert!(!may_be_unsafe(&file("crates/a/src/b.rs", "//! A.\n")));
    }

    #[test]
    fn a_sleep_needs_a_reason() {
        let with = "//! A.\n#[expect(clippy::disallowed_methods, reason = \"b\")]\nthread::sleep(x);\n";
        let broken = |text: &str| {
            let sources = [file("crates/a/src/b.rs", text)];
            rules(&sources).into_iter().filter(|(_, places)| !places.is_empty()).count()
        };
        assert_eq!(broken(with), 0);
        assert_eq!(broken("//! A.\nthread::sleep(x);\n"), 1);
        assert_eq!(broken("fn f() {}\n"), 1);
    }
}
