//! Signals to nobody in particular, and signals that nobody catches.

use std::os::unix::process::{CommandExt, ExitStatusExt};

use ipc_testkit::{Peer, command, peer, proof};

#[test]
fn a_text_that_is_no_number_is_nobodys_process_id() {
    for text in ["", "x", "0", "-1", "-7", "2147483648"] {
        let mut ours = peer!("peer-pitfalls", "terminate", text);
        ours.expect("no process id");
        ours.finish();
    }
    let mut dead = 0;
    for text in ["", "x", "0"] {
        // In a group of its own, so that the twin's signal hits nobody but itself.
        let mut twin = Peer::start(command!("peer-pitfalls", "naive-kill", text).process_group(0));
        dead += u32::from(twin.wait().signal() == Some(libc::SIGTERM));
    }
    assert_eq!(dead, 3, "the naive twin's kill(0) hits its own group");
    proof!("pitfalls", "6 texts refused; naive twin killed by itself {dead} of 3 times");
}

#[test]
fn kill_and_stop_cannot_be_caught_and_say_so() {
    for signal in [libc::SIGKILL, libc::SIGSTOP] {
        let mut ours = peer!("peer-pitfalls", "catch", signal);
        ours.expect("refused");
        ours.finish();
        let mut twin = peer!("peer-pitfalls", "naive-catch", signal);
        twin.expect("SIG_ERR");
        twin.finish();
    }
}
