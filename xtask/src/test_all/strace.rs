//! What strace writes with `-f -y`: a line a call, with what each descriptor leads to.

use std::collections::BTreeMap;

/// One system call of one thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) thread: u32,
    pub(super) name: String,
    /// As strace shows them, without the parentheses.
    pub(super) arguments: String,
    /// `None`: it did not return.
    pub(super) result: Option<i64>,
}

impl Call {
    /// Each descriptor among the arguments and what it leads to: `read(3</a/fifo>, …`.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = (u32, &str)> {
        let mut before = self.arguments.as_str();
        std::iter::from_fn(move || {
            let (head, rest) = before.split_once('<')?;
            let digits = head.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            let (target, after) = rest.split_once('>').unwrap_or((rest, ""));
            before = after;
            Some((head.get(digits..).and_then(|number| number.parse().ok()), target))
        })
        .filter_map(|(number, target)| Some((number?, target)))
    }

    /// Whether any argument is this text, up to the next comma.
    pub(super) fn has(&self, argument: &str) -> bool {
        self.arguments.split(", ").any(|one| one.trim_matches(['[', ']']) == argument)
    }
}

/// The calls in the order in which they began. A call that another thread's line has interrupted is put together again.
pub(super) fn parse(log: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, text)) = line.trim_start().split_once(' ') else { continue };
        let (Ok(thread), text) = (thread.parse::<u32>(), text.trim_start()) else { continue };
        if let Some(resumed) = text.strip_prefix("<... ") {
            if let Some(call) = open.remove(&thread).and_then(|at| calls.get_mut(at))
                && let Some((_, rest)) = resumed.split_once(" resumed>")
            {
                let (arguments, result) = end(rest);
                call.arguments.push_str(&arguments);
                call.result = result;
            }
            continue;
        }
        let Some((name, rest)) = text.split_once('(') else { continue };
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let (arguments, result) = match rest.strip_suffix("<unfinished ...>") {
            Some(begun) => {
                open.insert(thread, calls.len());
                (begun.trim_end().to_owned(), None)
            }
            None => end(rest),
        };
        calls.push(Call { thread, name: name.to_owned(), arguments, result });
    }
    calls
}

/// Arguments and result of `…) = 5` and `…) = -1 EAGAIN (…)`.
fn end(text: &str) -> (String, Option<i64>) {
    let Some((arguments, result)) = text.rsplit_once(" = ") else { return (text.to_owned(), None) };
    let arguments = arguments.trim_end();
    let number = result.split([' ', '<']).next().and_then(|number| number.parse().ok());
    (arguments.strip_suffix(')').unwrap_or(arguments).to_owned(), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_put_together_again() {
        let log = "7 read(3<pipe:[9]>,  <unfinished ...>\n\
                   8 write(4<pipe:[9]>, \"hello\", 5) = 5\n\
                   7 <... read resumed>\"hello\", 128) = 5\n\
                   8 --- SIGCHLD {si_signo=SIGCHLD} ---\n\
                   8 semop(3, [{0, 1, SEM_UNDO}], 1)   = -1 EIDRM (Identifier removed)\n\
                   7 exit_group(0)                     = ?\n";
        let calls = parse(log);
        assert_eq!(calls.len(), 4);
        assert_eq!(calls[0].arguments, "3<pipe:[9]>,\"hello\", 128");
        assert_eq!((calls[0].thread, calls[0].result), (7, Some(5)));
        assert_eq!(calls[0].descriptors().collect::<Vec<_>>(), [(3, "pipe:[9]")]);
        assert_eq!((calls[2].name.as_str(), calls[2].result), ("semop", Some(-1)));
        assert_eq!(calls[3].result, None);
    }

    #[test]
    fn signals_are_found_among_arguments() {
        let log = "7 rt_sigqueueinfo(9, SIGRT_8, {si_signo=SIGRT_8}) = 0\n";
        assert!(parse(log)[0].has("SIGRT_8"));
    }
}
