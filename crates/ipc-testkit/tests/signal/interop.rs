//! The same signals in other languages and other libraries. C is on either side of the classic pairs.

use std::process::Command;

use ipc_signal::{Pid, Signal, queue};
use ipc_testkit::{Peer, peer, proof, skip};

use crate::is_installed;

/// Python's `signal` module has no sigqueue and shows no value: it sees who sent what, and sends what kill and
/// pidfd_send_signal send.
#[test]
fn python_takes_what_we_queue() {
    if !is_installed("python3") {
        skip!("no python3 on this machine");
    }
    let mut python = script(
        "import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {40})
print('ready', flush=True)
for _ in range(2):
    info = signal.sigwaitinfo({40})
    print(info.si_signo, info.si_code, info.si_pid, flush=True)",
    );
    python.expect("ready");
    for value in 0..2 {
        queue(Pid::try_from(python.id()).unwrap(), Signal::from_number(40).unwrap(), value).unwrap();
    }
    for _ in 0..2 {
        python.expect(&format!("40 -1 {}", std::process::id()));
    }
    python.finish();
}

#[test]
fn we_take_what_python_sends() {
    if !is_installed("python3") {
        skip!("no python3 on this machine");
    }
    for send in ["os.kill(pid, 40)", "signal.pidfd_send_signal(os.pidfd_open(pid), 40)"] {
        let mut receiver = peer!("peer-signal", "print-one", 40);
        receiver.expect("ready");
        let mut python = script(&format!(
            "import os, signal\npid = {}\n{send}\nprint(os.getpid(), os.getuid())",
            receiver.id()
        ));
        let line = python.hear();
        let (pid, uid) = line.split_once(' ').unwrap();
        receiver.expect(&format!("User Some(ClaimedSender {{ pid: Pid({pid}), uid: {uid} }}) None"));
        receiver.finish();
        python.finish();
    }
}

#[test]
fn signal_hook_and_tokio_live_beside_us() {
    let mut peer = peer!("peer-signal", "others");
    peer.expect("ok");
    peer.finish();
    proof!(
        "coexistence",
        "signal-hook and tokio under our handler and over it, each sees every signal, each stays when another goes"
    );
}

fn script(text: &str) -> Peer {
    Peer::start(Command::new("python3").arg("-c").arg(text))
}
