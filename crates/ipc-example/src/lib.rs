//! What every example program shares, so that each shows its mechanism and nothing else: `--help`, one clear sentence
//! and exit status 2 on bad input, `--count N` and `--interval MS`.

use std::convert::Infallible;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// What an example ends with: any error, of which the one sentence is printed.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Runs `program` with the command line: `--help` prints `help`, an error becomes a sentence on standard error and exit
/// status 2.
pub fn main(help: &str, program: impl FnOnce(&mut Arguments) -> Result) -> ExitCode {
    // What follows `--` is not ours.
    if std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--help") {
        println!("{}", help.trim());
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments(pico_args::Arguments::from_env());
    match program(&mut arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", sentence(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// An error and what caused it, on one line.
fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// The command line, taken apart one argument at a time; call [`Arguments::finish`] before anything is created.
#[derive(Debug)]
pub struct Arguments(pico_args::Arguments);

impl Arguments {
    /// Whether `name` (`--keep`) was given.
    pub fn flag(&mut self, name: &'static str) -> bool {
        self.0.contains(name)
    }

    /// The value after `name` (`--key 1234`), if it was given.
    ///
    /// # Errors
    /// A sentence, when the value is missing or cannot be parsed.
    pub fn option<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Result<Option<T>> {
        self.option_with(name, str::parse::<T>)
    }

    /// As [`Arguments::option`], with a parser of the caller's.
    ///
    /// # Errors
    /// A sentence, when the value is missing or cannot be parsed.
    pub fn option_with<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<Option<T>> {
        let Some(text) = self.0.opt_value_from_os_str(name, |text| Ok::<_, Infallible>(text.to_owned()))?
        else {
            return Ok(None);
        };
        let shown = text.display();
        let text = text.to_str().ok_or_else(|| format!("{name} {shown} is not text"))?;
        parse(text).map(Some).map_err(|error| format!("{name} {shown}: {error}").into())
    }

    /// The next argument without a name, which must be there; `name` is what `--help` calls it.
    ///
    /// # Errors
    /// A sentence, when it is missing or cannot be parsed.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<T> {
        let text: String = self.next(name)?.ok_or_else(|| format!("{name} is missing; see --help"))?;
        text.parse().map_err(|error| format!("{name} {text:?}: {error}").into())
    }

    /// The next argument without a name, if there is one.
    ///
    /// # Errors
    /// A sentence, when it is not text or looks like an unknown option.
    pub fn optional(&mut self, name: &str) -> Result<Option<String>> {
        self.next(name)
    }

    /// A path, which need not be text.
    ///
    /// # Errors
    /// A sentence, when it is missing.
    pub fn path(&mut self, name: &str) -> Result<PathBuf> {
        self.optional_path()?.ok_or_else(|| format!("{name} is missing; see --help").into())
    }

    /// A path, if there is one more argument.
    ///
    /// # Errors
    /// A sentence, when it looks like an unknown option.
    pub fn optional_path(&mut self) -> Result<Option<PathBuf>> {
        Ok(self.0.opt_free_from_os_str(|text| Ok::<_, Infallible>(PathBuf::from(text)))?)
    }

    /// `--count N` and `--interval MS`, 1000 unless given.
    ///
    /// # Errors
    /// A sentence, when one of them is not a number in range.
    pub fn pace(&mut self) -> Result<Pace> {
        let interval = self.option("--interval")?.unwrap_or(1000);
        Ok(Pace { left: self.option("--count")?, interval: Duration::from_millis(interval), first: true })
    }

    /// What follows `--`, or else what begins with the first argument that is no option: cargo keeps a `--` for itself. Take
    /// it before anything else.
    pub fn command(&mut self) -> Vec<std::ffi::OsString> {
        let mut all = std::mem::replace(&mut self.0, pico_args::Arguments::from_vec(Vec::new())).finish();
        let behind = all.iter().position(|argument| argument == OsStr::new("--"));
        let first = || all.iter().position(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
        let (options, from) = match behind {
            Some(at) => (at, at + 1),
            None => first().map_or((all.len(), all.len()), |at| (at, at)),
        };
        let command = all.split_off(from);
        all.truncate(options);
        self.0 = pico_args::Arguments::from_vec(all);
        command
    }

    /// Refuses whatever was not asked for.
    ///
    /// # Errors
    /// A sentence that names the first argument left over.
    pub fn finish(&mut self) -> Result {
        let rest = std::mem::replace(&mut self.0, pico_args::Arguments::from_vec(Vec::new())).finish();
        match rest.first() {
            None => Ok(()),
            Some(extra) => Err(format!("{} was not expected; see --help", extra.display()).into()),
        }
    }

    fn next(&mut self, name: &str) -> Result<Option<String>> {
        match self.optional_path()? {
            None => Ok(None),
            Some(path) => match path.into_os_string().into_string() {
                Ok(text) => Ok(Some(text)),
                Err(raw) => Err(format!("{name} {} is not text", raw.display()).into()),
            },
        }
    }
}

/// Once every interval, for a count of times or for ever.
#[derive(Debug)]
pub struct Pace {
    left: Option<u64>,
    interval: Duration,
    first: bool,
}

impl Pace {
    /// The time between two turns.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// How many turns are left, unless they go on for ever.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.left
    }
}

impl Iterator for Pace {
    type Item = ();

    fn next(&mut self) -> Option<()> {
        if self.left == Some(0) {
            return None;
        }
        self.left = self.left.map(|left| left - 1);
        if !std::mem::take(&mut self.first) {
            #[expect(
                clippy::disallowed_methods,
                reason = "a program that does something once a second sleeps in between"
            )]
            std::thread::sleep(self.interval);
        }
        Some(())
    }
}
