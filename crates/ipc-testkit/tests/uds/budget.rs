//! G9: clients that together would make a server hold too much, and one among them that is honest.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;

use ipc_testkit::audit::descriptors;
use ipc_testkit::{peer, proof, until};
use ipc_uds::{Ancillary, Framed, Stream};

use crate::Place;

const ATTACKERS: usize = 64;
/// What each of them sends of a message of 4 MiB that never ends, and how many descriptors with it.
const BYTES: usize = 512 * 1024;
const DESCRIPTORS: usize = 8;
/// What the server may hold of all clients together.
const MAX_BYTES: usize = 4 << 20;
const MAX_DESCRIPTORS: usize = 280;

/// The memory of a process that no file is behind, in bytes.
fn memory(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// What a server has grown by and holds open when all attackers have sent, how many of them it has cut off, and
/// whether an honest client was answered then.
fn attacked(place: &Place, limits: &[usize]) -> (usize, usize, usize, bool) {
    let path = place.path(if limits.is_empty() { "naive" } else { "s" });
    let limits: Vec<String> = limits.iter().map(usize::to_string).collect();
    let mut server = match &*limits {
        [bytes, files] => peer!("peer-uds", "budgeted", path.display(), ATTACKERS + 2, bytes, files),
        _ => peer!("peer-uds", "budgeted", path.display(), ATTACKERS + 2),
    };
    server.expect("listening");
    let mut honest = Framed::new(Stream::connect(&path).unwrap(), 1 << 16, 1).unwrap();
    let file = File::open("/dev/null").unwrap();
    let mut ask = || {
        honest.send_borrowed(b"still there?", &[file.as_fd()]).is_ok()
            && matches!(honest.recv(), Ok(Some(answer)) if answer.bytes == b"still there?" && answer.descriptors.len() == 1)
    };
    assert!(ask());
    let (before, open) = (memory(server.id()), descriptors(Some(server.id())).len());
    let attackers: Vec<Stream> = (0..ATTACKERS).map(|_| Stream::connect(&path).unwrap()).collect();
    let message = vec![7; BYTES];
    for attacker in &attackers {
        let header = [&(1_u32 << 22).to_be_bytes()[..], &[u8::try_from(DESCRIPTORS).unwrap()]].concat();
        attacker.send_with(&header, &[file.as_fd(); DESCRIPTORS][..]).unwrap();
    }
    let mut cut = 0;
    for mut attacker in &attackers {
        cut += usize::from(attacker.write_all(&message).is_err());
    }
    if limits.is_empty() {
        until("the twin to have read it all", || memory(server.id()) - before >= ATTACKERS * BYTES);
    }
    let answered = ask();
    let grown = memory(server.id()).saturating_sub(before);
    let held = descriptors(Some(server.id())).len() - open;
    drop(attackers);
    until("the attackers to be forgotten", || descriptors(Some(server.id())).len() <= open);
    assert!(ask());
    server.tell("end");
    server.finish();
    (grown, held, cut, answered)
}

#[test]
fn g9_clients_together_cannot_make_a_server_hold_more_than_its_budget() {
    let place = Place::new();
    let (grown, held, cut, answered) = attacked(&place, &[MAX_BYTES, MAX_DESCRIPTORS]);
    let naive = attacked(&place, &[]);
    assert!(answered, "the honest client");
    // Each connection is a descriptor too.
    assert!(held <= MAX_DESCRIPTORS + ATTACKERS, "{held} descriptors");
    assert!(cut > ATTACKERS / 2, "{cut} cut off");
    // Buffers are at most twice what they hold; stacks and what malloc keeps are not the budget's.
    assert!(grown < 4 * MAX_BYTES, "{grown} bytes");
    assert!(naive.0 >= ATTACKERS * BYTES, "{naive:?}");
    assert!(naive.1 > MAX_DESCRIPTORS + ATTACKERS, "{naive:?}");
    proof!(
        "G9",
        "{ATTACKERS} clients against a budget of {MAX_BYTES} bytes and {MAX_DESCRIPTORS} descriptors: it grew by {grown} and {held}, \
         {cut} cut off; naive twin: {} and {}",
        naive.0,
        naive.1
    );
}
