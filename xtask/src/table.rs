//! Text in columns, and colour where a terminal shows it.

use std::io::IsTerminal;

/// Columns as wide as their widest cell; the last one is not padded. The first row is the header.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(length(cell));
        }
    }
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| padded(cell, *width));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
        if number == 0 {
            let rules = widths.iter().map(|width| "─".repeat(*width));
            text.push_str(&rules.collect::<Vec<_>>().join("──"));
            text.push('\n');
        }
    }
    text
}

/// `text` and spaces up to `width`.
pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(length(text))))
}

/// At most `width` characters of `text`; an ellipsis stands for the rest.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The characters that a terminal shows, which escape sequences are not.
fn length(text: &str) -> usize {
    let mut shown = 0;
    let mut escape = false;
    for c in text.chars() {
        match c {
            '\x1b' => escape = true,
            'm' if escape => escape = false,
            _ if escape => {}
            _ => shown += 1,
        }
    }
    shown
}

/// Colours, or none when standard output is not a terminal or NO_COLOR is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) fn new() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.with("33", text)
    }

    /// The colour of the process with this number.
    pub(crate) fn process(self, number: usize, text: &str) -> String {
        self.with(["36", "35", "34", "33"].get(number % 4).copied().unwrap_or("0"), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_escapes_take_no_room() {
        let painted = Paint(true).good("ok");
        let rows = [vec!["a".into(), "bcd".into()], vec![painted.clone(), "e".into()]];
        assert_eq!(columns(&rows), format!("a   bcd\n───────\n{painted}  e\n"));
    }

    #[test]
    fn long_text_is_shortened() {
        assert_eq!(shortened("hello", 5), "hello");
        assert_eq!(shortened("hello!", 5), "hell…");
    }
}
