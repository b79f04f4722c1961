//! The peer's side: a program in `peers/` holds several roles, is told by its first argument which one to play, and
//! talks to the test over standard input and output, a line a message.

use std::io::{self, BufRead, Write};

/// What a role ends with: an error is printed to standard error and the exit status is 1.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One role: its name and what it does with the arguments after the name.
pub type Role = (&'static str, fn(&[String]) -> Result);

/// Plays the role that the command line names.
///
/// The process asks to be killed when the thread that started it ends: a test that fails leaves nobody behind.
///
/// # Errors
/// What the role returns, or that there is no such role.
pub fn play(roles: &[Role]) -> Result {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    match roles.iter().find(|(name, _)| *name == wanted) {
        Some((_, role)) => role(&arguments),
        None => Err(format!("no role {wanted:?}").into()),
    }
}

/// Tells the test one line.
///
/// # Errors
/// EPIPE, when the test is gone.
pub fn say(line: impl std::fmt::Display) -> Result {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

/// Waits for the test's next line.
///
/// # Errors
/// When the test has closed our input.
pub fn hear() -> Result<String> {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Err("the test has closed our input".into());
    }
    Ok(line.trim_end_matches('\n').to_owned())
}
