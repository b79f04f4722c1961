//! The Rust files of the workspace, and their text without comments and literals.

use std::fs;
use std::path::Path;

use crate::{Result, root};

/// One file.
pub(super) struct Source {
    /// From the root: `crates/ipc-pipe/src/lib.rs`.
    pub(super) path: String,
    pub(super) text: String,
    /// The same lines with spaces where comments, strings and characters are.
    pub(super) code: String,
}

/// Every Rust file of the workspace, sorted by path.
pub(super) fn all() -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for directory in ["crates", "xtask", "fuzz"] {
        collect(&root().join(directory), &mut found)?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(directory: &Path, found: &mut Vec<Source>) -> Result {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let path = path.strip_prefix(root())?.display().to_string();
            found.push(Source { path, code: code(&text), text });
        }
    }
    Ok(())
}

/// `text` with spaces instead of comments, strings and characters; the lines stay where they are.
pub(super) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = literal(rest, out.chars().next_back()).unwrap_or(0);
        let (token, after) = rest.split_at(length.max(c.len_utf8()));
        if length == 0 {
            out.push(c);
        } else {
            out.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    out
}

/// The length of the comment, string or character that `text` begins with.
fn literal(text: &str, before: Option<char>) -> Option<usize> {
    let bytes = text.as_bytes();
    let until = |end: &str, from: usize| {
        let rest = text.get(from..)?;
        Some(rest.find(end).map_or(text.len(), |at| from + at + end.len()))
    };
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return until("*/", 2);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if text.starts_with('r') && !in_word {
        let hashes = bytes.iter().skip(1).take_while(|byte| **byte == b'#').count();
        if bytes.get(1 + hashes) == Some(&b'"') {
            return until(&format!("\"{}", "#".repeat(hashes)), hashes + 2);
        }
    }
    if text.starts_with('"') {
        return quoted(bytes, b'"');
    }
    if text.starts_with('\'') {
        // A lifetime has no second quote right after its first character.
        let second = text.chars().nth(1)?;
        let closing = bytes.get(1 + second.len_utf8()) == Some(&b'\'');
        return (second == '\\' || closing).then(|| quoted(bytes, b'\'')).flatten();
    }
    None
}

fn quoted(bytes: &[u8], quote: u8) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if *byte == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank() {
        assert_eq!(code("a // unsafe\nb"), "a          \nb");
        assert_eq!(code("a /* un\nsafe */ b"), "a      \n        b");
        assert_eq!(code(r#"f("un\"safe", 'x', '\'', b"y")"#), "f(          ,    ,     , b   )");
        assert_eq!(code("r#\"un\"safe\"# x"), "             x");
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(code("for\"x\""), "for   ");
    }
}
