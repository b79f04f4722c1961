//! The mutex and a C program: each counts under it, and each is told of the other's death.

use std::fs;
use std::process::Command;

use ipc_shm::{LockError, Mutex};
use ipc_testkit::{Peer, WATCHDOG, name, proof, repetitions_or_long, skip};

use crate::lock_mutex::memory;
use ipc_testkit::locks::{Pair, add};

/// `PROGRAM FILE COUNT`: adds COUNT times to both numbers, repairing; with COUNT 0 dies with the lock.
const PROGRAM: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
struct pair { pthread_mutex_t mutex; unsigned long first, second; };
int main(int argc, char **argv) {
    int fd = open(argv[1], O_RDWR);
    char *base = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (argc < 3 || base == MAP_FAILED) return 2;
    struct pair *pair = (struct pair *)(base + 4096);
    long count = atol(argv[2]);
    puts("ready"); fflush(stdout);
    for (long i = 0; i < count || count == 0; i++) {
        int result = pthread_mutex_lock(&pair->mutex);
        if (result == EOWNERDEAD) {
            puts("owner died"); fflush(stdout);
            pair->first = pair->second;
            pthread_mutex_consistent(&pair->mutex);
        } else if (result) return 3;
        pair->first++;
        if (count == 0) { puts("holding"); fflush(stdout); pause(); }
        pair->second++;
        pthread_mutex_unlock(&pair->mutex);
    }
    puts("done");
    return 0;
}
"#;

#[test]
fn f6_a_c_program_shares_the_mutex_and_the_news_of_a_death() {
    let directory = name::directory();
    let (source, program) = (directory.path().join("pair.c"), directory.path().join("pair"));
    fs::write(&source, PROGRAM).unwrap();
    match Command::new("cc").arg("-pthread").arg("-o").arg(&program).arg(&source).status() {
        Ok(status) => assert!(status.success()),
        Err(_) => skip!("no C compiler on this machine"),
    }
    let (shared, name) = memory::<Mutex<Pair>>("c");
    let pair = shared.get().unwrap();
    let start = |count: usize| {
        let mut peer =
            Peer::start(Command::new(&program).arg(format!("/dev/shm/{name}")).arg(count.to_string()));
        peer.expect("ready");
        peer
    };

    let count = repetitions_or_long(20_000, 300_000, 1_000_000);
    let mut c = start(count);
    for _ in 0..count {
        add(&mut pair.lock().unwrap());
    }
    c.expect("done");
    c.finish();
    let both = 2 * u64::try_from(count).unwrap();
    assert_eq!(*pair.lock().unwrap(), [both, both]);

    let mut c = start(0);
    c.expect("holding");
    c.kill();
    match pair.lock_timeout(WATCHDOG) {
        Err(LockError::OwnerDied(mut recovery)) => {
            assert_eq!(*recovery, [both + 1, both]);
            recovery[0] = both;
            drop(recovery.repaired());
        }
        other => panic!("{other:?}"),
    }

    std::thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(pair.lock().unwrap()));
    });
    let mut c = start(1);
    c.expect("owner died");
    c.expect("done");
    c.finish();
    assert_eq!(*pair.lock().unwrap(), [both + 1, both + 1]);
    proof!(
        "F6",
        "mutex shared with C: {both} additions from both sides, none lost; each is told of the other's death"
    );
}
