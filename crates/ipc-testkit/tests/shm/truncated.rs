//! Named memory that somebody who may write it cuts short or punches: the documented SIGBUS or a typed error, in that
//! process alone; and a tmpfs that is full.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;

use ipc_testkit::{command, crash, peer, proof, repetitions, skip};
use nix::fcntl::{FallocateFlags, fallocate};

use crate::ends::Ends;
use crate::flip::{KINDS, is_spared};
use crate::memory::Name;

/// What became of a victim.
#[derive(Default)]
struct Ended {
    well: usize,
    refused: usize,
    by_sigbus: usize,
}

impl Ended {
    fn add(&mut self, mut death: crash::Death) {
        let said = death.peer.next_line();
        let status = death.peer.wait();
        match (status.code(), status.signal()) {
            (Some(0), _) if said.as_deref() == Some("refused") => self.refused += 1,
            (Some(0), _) => self.well += 1,
            (None, Some(libc::SIGBUS)) => self.by_sigbus += 1,
            _ => panic!("{death}: {status} {}", death.peer.errors()),
        }
    }
}

#[test]
fn f4_truncated_under_its_users_a_named_segment_kills_by_sigbus_or_is_refused() {
    for hole in [false, true] {
        let (mut points, mut ended) = (0, Ended::default());
        for kind in KINDS {
            for role in ["victim-attach", "victim-use"].into_iter().filter(|role| !is_spared(role, kind)) {
                points += crash::meddled_at_every_step(
                    repetitions(3, 400),
                    || {
                        let named = Name::new("truncated");
                        Ends::create(kind, &named.0).unwrap();
                        (command!("peer-shm", role, kind, named.0), named)
                    },
                    |named| {
                        let file =
                            OpenOptions::new().write(true).open(format!("/dev/shm/{}", named.0)).unwrap();
                        if hole {
                            let all =
                                FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                            fallocate(&file, all, 0, 1 << 16).unwrap();
                        } else {
                            file.set_len(0).unwrap();
                        }
                    },
                    |death, _| ended.add(death),
                );
            }
        }
        if hole {
            // Memory that is there again at the first touch, empty: refused, or of no harm.
            assert!(ended.by_sigbus == 0 && ended.well > 0);
        } else {
            assert!(ended.by_sigbus > 0);
        }
        assert!(ended.refused > 0);
        proof!(
            "F4",
            "{} at {points} instructions of attach and use of six kinds: {} refused, {} ended well, {} by SIGBUS as documented, none otherwise",
            if hole { "punched" } else { "truncated" },
            ended.refused,
            ended.well,
            ended.by_sigbus
        );
    }
}

#[test]
fn f4_no_channel_is_made_in_a_full_tmpfs_and_nobody_dies_of_it() {
    if !nix::unistd::geteuid().is_root() {
        skip!("mounting a small tmpfs needs root");
    }
    let mut peer = peer!("peer-shm", "full-channels");
    for kind in ["slots", "replaced", "packed", "bytes", "latest", "broadcast"] {
        peer.expect(&format!("{kind}: no space"));
    }
    peer.expect("small: made, left 1");
    peer.finish();
}
