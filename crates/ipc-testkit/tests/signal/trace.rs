//! Tracing, and the crash tests' own proof.

use std::fs;

use ipc_testkit::{command, crash, name, proof, repetitions};

/// Between two writes there is an instruction at which the first has happened and the second has not: stepping meets it
/// every time. Killing after a while never does: the two are a microsecond apart.
#[test]
fn crash_at_every_step_meets_every_state() {
    let mut seen = Vec::new();
    let points = crash::at_every_step(
        repetitions(100, usize::MAX),
        || {
            let directory = name::directory();
            let path = directory.path().join("two");
            fs::write(&path, "").unwrap();
            (command!("peer-signal", "append-two", path.display()), (directory, path))
        },
        |death, (_directory, path)| seen.push((death.step, fs::read_to_string(path).unwrap())),
    );
    assert_eq!(points, seen.len());
    seen.sort();
    let mut states: Vec<_> = seen.iter().map(|(_, text)| text.as_str()).collect();
    states.dedup();
    assert_eq!(states, ["", "a", "ab"], "later deaths leave more, never less");
    proof!("crash", "{points} deaths, each instruction's state as it must be");
}
