//! A6: what runs out is told, and nothing leaks.

use ipc_testkit::{name, peer, proof, skip};

use crate::hostile::is_root;

#[test]
fn a6_every_limit_of_descriptors_is_an_error_without_a_leak() {
    let directory = name::directory();
    let mut peer = peer!("peer-pipe", "few_descriptors", directory.path().display());
    let refused: usize = peer.hear().parse().unwrap();
    peer.finish();
    assert!(refused > 14, "{refused}");
    proof!("A6", "13 calls under RLIMIT_NOFILE 3 to 16: {refused} refused, none leaked");
}

#[test]
fn a6_a_refused_pipe_says_why() {
    for (errno, text) in [
        (libc::EMFILE, "pipe2 pipe: Too many open files (os error 24)"),
        (libc::ENFILE, "pipe2 pipe: Too many open files in system (os error 23)"),
        (libc::ENOMEM, "pipe2 pipe: Cannot allocate memory (os error 12)"),
    ] {
        let mut peer = peer!("peer-pipe", "refused_pipe", errno);
        peer.expect(text);
        peer.finish();
    }
}

#[test]
fn a6_a_refused_fifo_says_why() {
    let directory = name::directory();
    let mut peer = peer!("peer-pipe", "refused_fifo", directory.path().display());
    peer.expect("refused");
    peer.finish();
    if !is_root() {
        skip!("a mount of our own over /proc needs root");
    }
    let directory = name::directory();
    let mut peer = peer!("peer-pipe", "without_proc", directory.path().display());
    peer.expect("refused");
    peer.finish();
}

#[test]
fn a6_capacity_above_the_limit_is_denied() {
    let mut peer = peer!("peer-pipe", "unprivileged");
    peer.expect("refused");
    peer.finish();
}

#[test]
fn a6_beyond_the_user_s_pages_a_pipe_is_small_and_says_so() {
    // A user of our own: the count is per user, and small pipes would disturb everybody else.
    let user = 400_000_000 + std::process::id();
    let mut peer = peer!("peer-pipe", "pages_soft", user);
    let line = peer.hear();
    peer.finish();
    if let Some(reason) = line.strip_prefix("no: ") {
        skip!("pipe-user-pages-soft cannot be reached: {reason}");
    }
    assert!(["65536 8192", "65536 4096"].contains(&line.as_str()), "{line}");
    proof!("A6", "capacities of a user's first pipe and of one beyond pipe-user-pages-soft: {line}");
}
