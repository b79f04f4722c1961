//! Bad input to the example programs: one sentence on standard error, exit status 2, nothing created and nothing lost.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::{getuid, mkfifo};

use super::tally::Tally;
use crate::play::Programs;
use crate::process::{self, Ran};
use crate::stage::Stage;
use crate::{Result, interrupt};

const DEADLINE: Duration = Duration::from_secs(120);

/// The other user: nobody.
const OTHER: u32 = 65534;

/// Each program with command lines that it must refuse; `{dir}` is a directory, `{none}` a path that does not exist, and
/// the other placeholders are those of the table of pairs.
const LINES: &[(&str, &[&[&str]])] = &[
    ("anonymous", &[&["extra"], &["--no-such"]]),
    (
        "fifo_read",
        &[
            &[],
            &["{dir}"],
            &["{file}"],
            &[""],
            &["{none}/fifo"],
            &["{fifo}", "extra"],
            &["--no-such", "{fifo}"],
        ],
    ),
    (
        "fifo_write",
        &[
            &[],
            &["{dir}"],
            &["{file}"],
            &["{none}/fifo"],
            &["--count", "x", "{fifo}"],
            &["--count", "-1", "{fifo}"],
            &["--count", "99999999999999999999", "{fifo}"],
            &["--interval", "1.5", "{fifo}"],
            &["{fifo}", "--interval"],
        ],
    ),
    ("sem_add", &[&["--key", "x"], &["--key", "99999999999"], &["--key"], &["extra"]]),
    ("sem_sub", &[&["--key", "x"], &["--key", "99999999999"], &["--key"], &["extra"]]),
    (
        "message_sender",
        &[
            &[],
            &["{none}"],
            &["--type", "0", "{file}"],
            &["--type", "-1", "{file}"],
            &["--type", "x", "{file}"],
            &["--type", "9223372036854775808", "{file}"],
            &["{file}", LONG],
            &["--key", "x"],
        ],
    ),
    (
        "message_reader",
        &[&[], &["{none}"], &["--type", "x", "{file}"], &["--key", "x"], &["{file}", "extra"]],
    ),
    ("shm_server", &[&[], &["{none}"], &["--count", "x", "{file}"], &["{file}", "extra"]]),
    ("shm_client", &[&[], &["{none}"], &["{file}"], &["--interval", "-1", "{file}"]]),
    ("ipcs", &[&["-x"], &["extra"]]),
    ("ipcrm", &[&[], &["-q", "x"], &["-q", "2147483646"], &["-M", "{key}"], &["-S", "x"]]),
    ("signal_receiver", &[&["--count", "x"], &["extra"]]),
    (
        "signal_sender",
        &[&[], &["x"], &["-1"], &["0"], &["2147483647"], &["4294967295"], &["--value", "x", "1"]],
    ),
    ("signals", &[&["extra"], &["--no-such"]]),
    ("trace", &[&[], &["--"], &["--", "{none}"], &["--", "{file}"], &["{none}"], &["--keep", "true"]]),
    (
        "posix_server",
        &[&[], &["/"], &["a/b"], &[""], &[LONG], &["--count", "x", "{name}"], &["{name}", "extra"]],
    ),
    ("posix_client", &[&[], &["/"], &["a/b"], &["{name}"], &["--interval", "x", "{name}"]]),
    (
        "channel_sender",
        &[
            &[],
            &["spsc"],
            &["no-such", "{name}"],
            &["spsc", "a/b"],
            &["mpsc", "a/b"],
            &["mpmc", LONG],
            &["bytes", ""],
            &["latest", "{name}", "--count", "x"],
            &["request", "{name}", "extra"],
        ],
    ),
    (
        "channel_receiver",
        &[
            &[],
            &["spsc"],
            &["no-such", "{name}"],
            &["spsc", "{name}"],
            &["mpsc", "{name}"],
            &["mpmc", "{name}"],
            &["broadcast", "{name}"],
            &["latest", "{name}"],
            &["bytes", "a/b"],
            &["request", "{name}", "extra"],
        ],
    ),
    ("shm_top", &[&["a/b"], &["--interval", "x"], &["--count", "x"], &["{name}", "extra"], &["--no-such"]]),
    (
        "request_server",
        &[
            &[],
            &["{dir}"],
            &["{file}"],
            &["{none}/socket"],
            &["--count", "x", "{socket}"],
            &["{socket}", "extra"],
        ],
    ),
    (
        "request_client",
        &[
            &[],
            &["{socket}"],
            &["{socket}", "1"],
            &["{socket}", "x"],
            &["{file}", "1"],
            &["{socket}", "1", "--timeout", "x"],
        ],
    ),
    (
        "local_socket_server",
        &[&["{dir}"], &["{file}"], &["{none}/socket"], &["--count", "x", "{socket}"], &["{socket}", "extra"]],
    ),
    ("local_socket_client", &[&["{dir}"], &["{file}"], &["{socket}"], &["--bind", "{file}", "{socket}"]]),
    (
        "tcp_server",
        &[&[], &["nonsense"], &["127.0.0.1:99999"], &["127.0.0.1:0", "--count", "x"], &["192.0.2.1:0"]],
    ),
    ("tcp_client", &[&[], &["nonsense"], &["127.0.0.1:1"], &["127.0.0.1"]]),
];

/// 300 bytes: more than a message holds, and more than a file's name.
const LONG: &str = concat!(
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
);

pub(super) fn run(examples: &Programs) -> Result<Tally> {
    let mut tally = Tally::default();
    for (name, lines) in LINES {
        let Some(program) = examples.get(*name) else {
            tally.fail(format!("{name} has not been built"));
            continue;
        };
        let help = process::run(process::command(program).arg("--help"), DEADLINE)?;
        if help.succeeded() && help.stdout.contains(name) {
            tally.pass();
        } else {
            tally.fail(format!("--help does not help\n{}", help.account()));
        }
        let before = tally.passed;
        for line in *lines {
            if interrupt::happened() {
                return Ok(tally);
            }
            let stage = Stage::new(20)?;
            fs::create_dir(stage.path("dir"))?;
            judge(&mut tally, &stage, || refuse(program, line, &stage, None))?;
        }
        println!("{name:<32} {:3} of {:3} refused as they should", tally.passed - before, lines.len());
    }
    if getuid().is_root() {
        another_user(&mut tally, examples)?;
    } else {
        tally.skip("bad input, another user's objects", "not root");
    }
    Ok(tally)
}

/// What another user has made, or what we have made and another user reaches for.
fn another_user(tally: &mut Tally, examples: &Programs) -> Result {
    let cases: &[(&str, &[&str], Option<u32>)] = &[
        // A FIFO of nobody's at our path; a FIFO, a queue, a segment and memory of ours that nobody may not touch.
        ("fifo_read", &["{foreign}"], None),
        ("fifo_write", &["{foreign}"], None),
        ("fifo_read", &["{own}"], Some(OTHER)),
        ("fifo_write", &["{own}"], Some(OTHER)),
        ("signal_sender", &["1"], Some(OTHER)),
        ("message_reader", &["{file}"], Some(OTHER)),
        ("local_socket_server", &["{socket}"], Some(OTHER)),
    ];
    for (name, line, user) in cases {
        let Some(program) = examples.get(*name) else { continue };
        let stage = Stage::new(20)?;
        for (name, owner) in [("own", 0), ("foreign", OTHER)] {
            mkfifo(&stage.path(name), Mode::S_IRUSR | Mode::S_IWUSR)?;
            chown(stage.path(name), Some(owner), Some(owner))?;
        }
        let sender = examples.get("message_sender").filter(|_| *name == "message_reader");
        if let Some(sender) = sender {
            process::run(process::command(sender).arg(stage.path("file")), DEADLINE)?;
        }
        // The workspace may be where nobody cannot reach it.
        let copy = std::env::temp_dir().join(format!("ipc-xtask-{}-{name}", std::process::id()));
        fs::copy(program, &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
        judge(tally, &stage, || refuse(&copy, line, &stage, *user))?;
        fs::remove_file(&copy)?;
        if sender.is_some() {
            let reader = process::run(process::command(program).arg(stage.path("file")), DEADLINE)?;
            if reader.stdout == "hello1\n" { tally.pass() } else { tally.fail(reader.account()) }
        }
    }
    Ok(())
}

fn refuse(program: &PathBuf, line: &[&str], stage: &Stage, user: Option<u32>) -> Result<Ran> {
    let mut command = process::command(program);
    command.current_dir(stage.path("")).env("LC_ALL", "C");
    for argument in line {
        let text = stage.fill(argument, &[], "");
        let named = ["dir", "none", "own", "foreign"].iter().fold(text, |text, name| {
            text.replace(&format!("{{{name}}}"), &stage.path(name).display().to_string())
        });
        command.arg(named);
    }
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    process::run(&mut command, DEADLINE)
}

/// Runs a program that must refuse, and holds it and the stage against what is promised.
fn judge(tally: &mut Tally, stage: &Stage, run: impl FnOnce() -> Result<Ran>) -> Result {
    let before = (contents(stage), stage.objects());
    let ran = run()?;
    let mut faults = Vec::new();
    if ran.status.and_then(|status| status.code()) != Some(2) {
        faults.push("the exit status is not 2");
    }
    if ran.stderr.trim().is_empty() || ran.stderr.trim_end().lines().count() != 1 {
        faults.push("standard error is not one sentence");
    }
    if !ran.stdout.is_empty() {
        faults.push("it said something before it refused");
    }
    if before != (contents(stage), stage.objects()) {
        faults.push("something was created or lost");
    }
    if faults.is_empty() {
        tally.pass();
    } else {
        tally.fail(format!("{}\n{}", faults.join("; "), ran.account()));
    }
    Ok(())
}

/// Name, kind and mode, owner and size of everything in the stage's directory.
fn contents(stage: &Stage) -> BTreeMap<PathBuf, (u32, u32, u64)> {
    let entries = fs::read_dir(stage.path("")).into_iter().flatten().flatten();
    let look = |path: PathBuf| {
        let data = fs::symlink_metadata(&path).ok()?;
        Some((path, (data.mode(), data.uid(), if data.is_file() { data.len() } else { 0 })))
    };
    entries.filter_map(|entry| look(entry.path())).collect()
}
