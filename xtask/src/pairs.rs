//! The one table of the classic programs: which belong together, in which order they start, and what each must say.
//! The demo shows it, the C matrix plays it in Rust and in C, and the system call counts are taken from it.
//!
//! In arguments and lines stand for what is unique to a run: `{file}` an existing file, `{fifo}` and `{socket}` paths
//! that do not exist, `{key}` a System V key (`{hexkey}` as ipcs shows it), `{name}` a name of POSIX shared memory,
//! `{interval}` milliseconds, `{pid N}` the process id of role N, `{uid}` and `{gid}` ours, `{letters}` as many of A to
//! Z, again and again, as fit into 4096 bytes with a NUL, `{*}` any text, and `{heard}` what stood for `{*}` in the line
//! at which the role was started.

mod pipe;
mod shm;
mod signal;
mod sysv;
mod uds;

/// Programs that talk to each other.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    pub(crate) mechanism: &'static str,
    /// What goes from one process to another.
    pub(crate) crosses: &'static str,
    /// How many processes take part, those that the programs start included.
    pub(crate) processes: usize,
    pub(crate) roles: &'static [Role],
    /// Shown by the demo; the others are variations that only the tests play.
    pub(crate) shown: bool,
}

/// One program of a pair.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) program: &'static str,
    pub(crate) twin: Twin,
    pub(crate) arguments: &'static [&'static str],
    pub(crate) input: &'static str,
    pub(crate) starts: When,
    /// When it gets SIGINT, if it does.
    pub(crate) interrupted: Option<When>,
    pub(crate) says: &'static [Says],
    /// Whether its lines are too long for a column.
    pub(crate) wide: bool,
    /// Whether it says something on standard error.
    pub(crate) complains: bool,
    pub(crate) ends: End,
}

/// What stands in for the Rust program in the C matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Twin {
    /// The program of the same name in xtask/twins.
    C,
    /// This command, where it is installed.
    Command(&'static [&'static str]),
    /// Nothing: the program has no classic counterpart.
    None,
}

/// A moment in the course of a play.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    AtOnce,
    /// When a role has said this line.
    Says(usize, &'static str),
    /// When a role has ended.
    Ended(usize),
}

/// What a program prints.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Says {
    /// This line.
    Line(&'static str),
    /// Lines with `before` in front of what together is `text`: a read may bring what several writes sent.
    Joined { before: &'static str, text: &'static str },
    /// Lines with `before` in front of a text that grows until it is `to`, seen as often as one looks.
    Grows { before: &'static str, to: &'static str },
    /// Any lines, one of which is this.
    Among(&'static str),
}

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Status(i32),
    Signal(i32),
}

impl Pair {
    /// Whether every program of it can be played by something that is not ours.
    pub(crate) fn has_twins(&self) -> bool {
        self.roles.iter().all(|role| !matches!(role.twin, Twin::None))
    }
}

const fn role(program: &'static str, arguments: &'static [&'static str]) -> Role {
    Role {
        program,
        twin: Twin::C,
        arguments,
        input: "",
        starts: When::AtOnce,
        interrupted: None,
        says: &[],
        wide: false,
        complains: false,
        ends: End::Status(0),
    }
}

impl Role {
    const fn twin(mut self, twin: Twin) -> Self {
        self.twin = twin;
        self
    }

    const fn reads(mut self, input: &'static str) -> Self {
        self.input = input;
        self
    }

    const fn starts(mut self, when: When) -> Self {
        self.starts = when;
        self
    }

    const fn interrupted(mut self, when: When) -> Self {
        self.interrupted = Some(when);
        self
    }

    const fn says(mut self, lines: &'static [Says]) -> Self {
        self.says = lines;
        self
    }

    const fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    const fn complains(mut self) -> Self {
        self.complains = true;
        self
    }

    const fn ends(mut self, end: End) -> Self {
        self.ends = end;
        self
    }
}

const SIGINT: i32 = 2;

/// The whole table, a file for each crate.
pub(crate) fn all() -> impl Iterator<Item = &'static Pair> {
    [pipe::PAIRS, sysv::PAIRS, signal::PAIRS, shm::PAIRS, uds::PAIRS].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_moments_name_roles() {
        let names: BTreeSet<_> = all().map(|pair| pair.name).collect();
        assert_eq!(names.len(), all().count());
        for pair in all() {
            for role in pair.roles {
                for when in [Some(role.starts), role.interrupted].into_iter().flatten() {
                    if let When::Says(other, _) | When::Ended(other) = when {
                        assert!(other < pair.roles.len(), "{}", pair.name);
                    }
                }
            }
            assert!(pair.roles.iter().any(|role| matches!(role.starts, When::AtOnce)), "{}", pair.name);
        }
    }
}
