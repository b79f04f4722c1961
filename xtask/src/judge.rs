//! Whether a program has said what the table of pairs expects.

use crate::pairs::Says;

/// The text that stands for the first `{*}` of `pattern`, if `text` is like it; empty when there is none.
pub(crate) fn matched<'a>(pattern: &str, text: &'a str) -> Option<&'a str> {
    let Some((start, pattern)) = pattern.split_once("{*}") else {
        return (pattern == text).then_some("");
    };
    let mut rest = text.strip_prefix(start)?;
    let mut first = None;
    let (middle, end) = pattern.rsplit_once("{*}").map_or((None, pattern), |(m, end)| (Some(m), end));
    for part in middle.iter().flat_map(|middle| middle.split("{*}")) {
        let (before, after) = rest.split_once(part)?;
        first.get_or_insert(before);
        rest = after;
    }
    let before = rest.strip_suffix(end)?;
    Some(first.unwrap_or(before))
}

/// Holds `lines` against the table; `fill` replaces the placeholders. The error says what was expected.
pub(crate) fn lines(
    expected: &[Says],
    lines: &[String],
    fill: impl Fn(&str) -> String,
) -> Result<(), String> {
    let mut rest = lines;
    let mut others_allowed = false;
    for says in expected {
        match *says {
            Says::Line(pattern) => {
                let pattern = fill(pattern);
                match rest.split_first() {
                    Some((line, after)) if matched(&pattern, line).is_some() => rest = after,
                    Some((line, _)) => return Err(format!("said {line:?}, not {pattern:?}")),
                    None => return Err(format!("did not say {pattern:?}")),
                }
            }
            Says::Joined { before, text } => {
                let joined: String = take(&mut rest, before).concat();
                if joined != text {
                    return Err(format!("said {joined:?} after {before:?}, not {text:?}"));
                }
            }
            Says::Grows { before, to } => {
                let to = fill(to);
                let seen = take(&mut rest, before);
                let grows = seen.windows(2).all(|pair| matches!(pair, [old, new] if new.starts_with(old)));
                if !grows || seen.last() != Some(&to.as_str()) {
                    return Err(format!("said {seen:?} after {before:?}, which does not grow to {to:?}"));
                }
            }
            Says::Among(pattern) => {
                let pattern = fill(pattern);
                others_allowed = true;
                if !lines.iter().any(|line| matched(&pattern, line).is_some()) {
                    return Err(format!("did not say {pattern:?} among its lines"));
                }
            }
        }
    }
    match rest.first() {
        Some(line) if !others_allowed => Err(format!("said {line:?} as well")),
        _ => Ok(()),
    }
}

/// What follows `before` in the next lines that begin with it.
fn take<'a>(rest: &mut &'a [String], before: &str) -> Vec<&'a str> {
    let mut taken = Vec::new();
    while let Some((line, after)) = rest.split_first()
        && let Some(text) = line.strip_prefix(before)
    {
        taken.push(text);
        *rest = after;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(expected: &[Says], text: &[&str]) -> bool {
        let text: Vec<String> = text.iter().map(|line| (*line).to_owned()).collect();
        lines(expected, &text, |pattern| pattern.replace("{key}", "7")).is_ok()
    }

    #[test]
    fn wildcards_match_and_give_what_they_stand_for() {
        assert_eq!(matched("abc", "abc"), Some(""));
        assert_eq!(matched("abc", "abcd"), None);
        assert_eq!(matched("on {*}", "on here"), Some("here"));
        assert_eq!(matched("{*}b{*}", "abc"), Some("a"));
        assert_eq!(matched("{*}", ""), Some(""));
        assert_eq!(matched("a{*}a", "a"), None);
    }

    #[test]
    fn lines_come_in_order_and_no_others() {
        let expected = [Says::Line("value {key}"), Says::Line("gone")];
        assert!(judged(&expected, &["value 7", "gone"]));
        assert!(!judged(&expected, &["gone", "value 7"]));
        assert!(!judged(&expected, &["value 7"]));
        assert!(!judged(&expected, &["value 7", "gone", "more"]));
    }

    #[test]
    fn reads_may_bring_more_than_one_write() {
        let expected = [Says::Joined { before: "buf is ", text: "hellohello" }];
        assert!(judged(&expected, &["buf is hello", "buf is hello"]));
        assert!(judged(&expected, &["buf is hellohello"]));
        assert!(!judged(&expected, &["buf is hello"]));
    }

    #[test]
    fn a_shared_text_only_grows() {
        let expected = [Says::Grows { before: "client# ", to: "ABC" }];
        assert!(judged(&expected, &["client# ", "client# A", "client# A", "client# ABC"]));
        assert!(!judged(&expected, &["client# AB", "client# A", "client# ABC"]));
        assert!(!judged(&expected, &["client# A"]));
    }
}
