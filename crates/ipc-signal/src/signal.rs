//! What a signal is: a number from 1 to 64 that knows its name. The kernel owns the numbers; nothing is created.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A signal of this kernel: 1 to 31 with names of their own, 32 to 64 real-time ones, which queue and carry values.
///
/// Unlike an enum of the named ones it holds any number that may arrive, [`Signal::realtime`] offsets too.
/// The numbers 32 and 33 exist for the kernel; the C library keeps them to itself, and refuses handlers and masks for them.
///
/// # Examples
/// ```
/// use ipc_signal::Signal;
///
/// assert_eq!(Signal::from_number(15)?, Signal::TERM);
/// assert_eq!("TERM".parse::<Signal>()?, Signal::TERM);
/// assert_eq!(Signal::TERM.to_string(), "SIGTERM");
/// assert_eq!(Signal::realtime(6)?.to_string(), "SIGRTMIN+6");
/// assert!(Signal::from_number(0).is_err());
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// What the kernel does with a signal for which nobody has asked for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DefaultAction {
    /// The process ends.
    Terminate,
    /// The process ends and leaves a core dump where limits allow.
    CoreDump,
    /// The process stops until it is continued.
    Stop,
    /// A stopped process goes on.
    Continue,
    /// Nothing happens.
    Ignore,
}

use DefaultAction::{Continue, CoreDump, Ignore, Stop, Terminate};

/// Number n stands at n - 1: name, what it means, default action.
const NAMED: [(&str, &str, DefaultAction); 31] = [
    ("HUP", "the terminal is gone, or the configuration is to be read again", Terminate),
    ("INT", "interrupt from the keyboard", Terminate),
    ("QUIT", "quit from the keyboard", CoreDump),
    ("ILL", "illegal instruction", CoreDump),
    ("TRAP", "breakpoint or single step", CoreDump),
    ("ABRT", "abort", CoreDump),
    ("BUS", "memory that has nothing behind it", CoreDump),
    ("FPE", "arithmetic error", CoreDump),
    ("KILL", "end at once; cannot be caught", Terminate),
    ("USR1", "for the program's own use", Terminate),
    ("SEGV", "invalid memory reference", CoreDump),
    ("USR2", "for the program's own use", Terminate),
    ("PIPE", "write to a pipe that nobody reads", Terminate),
    ("ALRM", "alarm clock", Terminate),
    ("TERM", "please end", Terminate),
    ("STKFLT", "coprocessor stack fault; unused", Terminate),
    ("CHLD", "a child ended, stopped or went on", Ignore),
    ("CONT", "go on after a stop", Continue),
    ("STOP", "stop; cannot be caught", Stop),
    ("TSTP", "stop from the keyboard", Stop),
    ("TTIN", "background process reads from the terminal", Stop),
    ("TTOU", "background process writes to the terminal", Stop),
    ("URG", "urgent data on a socket", Ignore),
    ("XCPU", "CPU time limit", CoreDump),
    ("XFSZ", "file size limit", CoreDump),
    ("VTALRM", "virtual alarm clock", Terminate),
    ("PROF", "profiling alarm clock", Terminate),
    ("WINCH", "the terminal's size changed", Ignore),
    ("IO", "input or output is possible", Terminate),
    ("PWR", "power failure", Terminate),
    ("SYS", "system call refused", CoreDump),
];

/// Other names for the same numbers.
const ALIASES: [(&str, u8); 3] = [("IOT", 6), ("CLD", 17), ("POLL", 29)];

macro_rules! named {
    ($($name:ident = $number:literal)*) => {
        /// The signals with names of their own.
        impl Signal {
            $(
                #[doc = concat!("SIG", stringify!($name))]
                pub const $name: Self = Self($number);
            )*
        }
    };
}

named! {
    HUP = 1 INT = 2 QUIT = 3 ILL = 4 TRAP = 5 ABRT = 6 BUS = 7 FPE = 8 KILL = 9 USR1 = 10 SEGV = 11 USR2 = 12
    PIPE = 13 ALRM = 14 TERM = 15 STKFLT = 16 CHLD = 17 CONT = 18 STOP = 19 TSTP = 20 TTIN = 21 TTOU = 22
    URG = 23 XCPU = 24 XFSZ = 25 VTALRM = 26 PROF = 27 WINCH = 28 IO = 29 PWR = 30 SYS = 31
}

impl Signal {
    /// How many numbers there are, from 1 on.
    pub(crate) const LAST: u8 = 64;

    /// The signal with this number.
    ///
    /// # Errors
    /// [`Error::UnknownSignal`] for 0, which kill(2) uses to ask whether a process exists ([`exists`](crate::exists)),
    /// and beyond 64.
    pub fn from_number(number: i32) -> Result<Self> {
        match u8::try_from(number) {
            Ok(small @ 1..=Self::LAST) => Ok(Self(small)),
            _ => Err(Error::UnknownSignal { what: number.to_string() }),
        }
    }

    /// `SIGRTMIN + offset`. The C library may keep the lowest real-time signals to itself, so it decides where they begin:
    /// 34 with glibc, 35 with musl.
    ///
    /// # Errors
    /// [`Error::UnknownSignal`] beyond SIGRTMAX.
    #[doc(alias = "SIGRTMIN")]
    pub fn realtime(offset: u8) -> Result<Self> {
        i32::from(offset)
            .checked_add(libc::SIGRTMIN())
            .filter(|number| *number <= libc::SIGRTMAX())
            .map_or_else(
                || Err(Error::UnknownSignal { what: format!("SIGRTMIN+{offset}") }),
                Self::from_number,
            )
    }

    /// The number that C knows it by.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0 as i32
    }

    /// `n` of SIGRTMIN+n, for the real-time signals that programs may use.
    #[must_use]
    pub fn realtime_offset(self) -> Option<u8> {
        u8::try_from(self.number().checked_sub(libc::SIGRTMIN())?).ok()
    }

    /// What it means, in a few words.
    #[must_use]
    #[doc(alias = "strsignal")]
    pub fn description(self) -> &'static str {
        match self.named() {
            Some((_, description, _)) => description,
            None if self.realtime_offset().is_some() => "for the program's own use, queued, with a value",
            None => "for the C library's own use",
        }
    }

    /// What happens when nobody asked for anything else.
    #[must_use]
    pub fn default_action(self) -> DefaultAction {
        self.named().map_or(Terminate, |(_, _, action)| *action)
    }

    /// All that a program may use, in the order of their numbers: what `kill -l` lists.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::LAST)
            .map(Self)
            .filter(|signal| signal.named().is_some() || signal.realtime_offset().is_some())
    }

    /// The table that `kill -l` prints.
    ///
    /// # Examples
    /// ```
    /// let table = ipc_signal::Signal::table().to_string();
    /// assert!(table.starts_with(" 1) SIGHUP\t 2) SIGINT\t"));
    /// assert!(table.ends_with("64) SIGRTMAX\t\n"));
    /// ```
    #[doc(alias = "kill -l")]
    #[must_use]
    pub fn table() -> impl fmt::Display {
        Table
    }

    /// Whether only the kernel's own bad news arrives under this number when nobody sends it: a handler that returns
    /// meets the same instruction again.
    pub(crate) const fn is_fault(self) -> bool {
        matches!(self, Self::SEGV | Self::BUS | Self::ILL | Self::FPE | Self::TRAP | Self::SYS)
    }

    /// The bit of the kernel's signal sets.
    pub(crate) const fn bit(self) -> u64 {
        1 << (self.0 - 1)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    fn named(self) -> Option<&'static (&'static str, &'static str, DefaultAction)> {
        NAMED.get(self.index() - 1)
    }
}

/// With SIG in front; real-time signals as `kill -l` names them, counted from the nearer end.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, ..)) = self.named() {
            return f.pad(&format!("SIG{name}"));
        }
        let from_end = libc::SIGRTMAX() - self.number();
        let text = match self.realtime_offset() {
            None => format!("SIG{}", self.0),
            Some(0) => "SIGRTMIN".to_owned(),
            Some(offset) if i32::from(offset) <= from_end + 1 => format!("SIGRTMIN+{offset}"),
            Some(_) if from_end == 0 => "SIGRTMAX".to_owned(),
            Some(_) => format!("SIGRTMAX-{from_end}"),
        };
        f.pad(&text)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A name with or without SIG, in either case; `RTMIN+3`, `RTMAX-2`; or a number.
impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::UnknownSignal { what: text.to_owned() };
        if let Ok(number) = text.parse() {
            return Self::from_number(number);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(at) = NAMED.iter().position(|(known, ..)| *known == name) {
            return u8::try_from(at + 1).map(Self).map_err(|_| unknown());
        }
        if let Some((_, number)) = ALIASES.iter().find(|(known, _)| *known == name) {
            return Ok(Self(*number));
        }
        let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
            (Some(""), _) => Some(libc::SIGRTMIN()),
            (_, Some("")) => Some(libc::SIGRTMAX()),
            (Some(rest), _) => offset(rest, '+').and_then(|up| libc::SIGRTMIN().checked_add(up)),
            (_, Some(rest)) => offset(rest, '-').and_then(|down| libc::SIGRTMAX().checked_sub(down)),
            _ => None,
        };
        number
            .filter(|number| (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(number))
            .map_or_else(|| Err(unknown()), Self::from_number)
    }
}

/// The digits behind `sign`: a second sign is none.
fn offset(rest: &str, sign: char) -> Option<i32> {
    let digits = rest.strip_prefix(sign)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl TryFrom<i32> for Signal {
    type Error = Error;

    fn try_from(number: i32) -> Result<Self> {
        Self::from_number(number)
    }
}

struct Table;

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut column = 0;
        for signal in Signal::all() {
            column += 1;
            let end = if column % 5 == 0 { "\n" } else { "\t" };
            write!(f, "{:2}) {signal}{end}", signal.number())?;
        }
        if column % 5 == 0 { Ok(()) } else { f.write_str("\n") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_number() {
        for number in 1..=64 {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(signal.number(), number);
            if Signal::all().any(|usable| usable == signal) {
                assert_eq!(signal.to_string().parse::<Signal>().unwrap(), signal);
                assert_eq!(signal.to_string()[3..].to_lowercase().parse::<Signal>().unwrap(), signal);
            }
            assert_eq!(number.to_string().parse::<Signal>().unwrap(), signal);
        }
    }

    #[test]
    fn the_constants_are_those_of_this_kernel() {
        let pairs = [
            (Signal::BUS, libc::SIGBUS),
            (Signal::USR1, libc::SIGUSR1),
            (Signal::STKFLT, libc::SIGSTKFLT),
            (Signal::CHLD, libc::SIGCHLD),
            (Signal::STOP, libc::SIGSTOP),
            (Signal::URG, libc::SIGURG),
            (Signal::IO, libc::SIGIO),
            (Signal::SYS, libc::SIGSYS),
        ];
        for (signal, number) in pairs {
            assert_eq!(signal.number(), number);
        }
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in
            ["", "0", "65", "-1", "SIG", "SIGRTMIN+31", "RTMAX-31", "RTMIN++1", "RTMIN-1", "INT ", "NOSUCH"]
        {
            assert!(text.parse::<Signal>().is_err(), "{text:?}");
        }
        assert!(Signal::realtime(31).is_err());
        assert_eq!(Signal::realtime(30).unwrap().number(), libc::SIGRTMAX());
    }
}
