//! One pipe, many processes: nothing is lost between them, whoever is killed; and what a forked child may do.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;

use ipc_pipe::Fifo;
use ipc_testkit::{Peer, name, peer, repetitions, skip};

#[test]
fn writers_and_readers_share_a_pipe_without_loss() {
    for (writers, readers) in [(2, 1), (1, 5), (3, 4)] {
        let directory = name::directory();
        let path = directory.path().join("fifo");
        let fifo = Fifo::create(&path).unwrap();
        let hold = (fifo.try_reader().unwrap(), fifo.writer().unwrap());
        let each = repetitions(2000, 100_000) as u64;
        let mut reading: Vec<Peer> =
            (0..readers).map(|_| peer!("peer-pipe", "numbers_reader", path.display())).collect();
        reading.iter_mut().for_each(|reader| reader.expect("ready"));
        let mut writing: Vec<Peer> = (0..writers)
            .map(|serial| peer!("peer-pipe", "numbers_writer", path.display(), serial * each, each))
            .collect();
        writing.iter_mut().for_each(|writer| writer.expect("ready"));
        drop(hold);
        writing.iter_mut().for_each(|writer| writer.tell("go"));
        writing.into_iter().for_each(Peer::finish);
        let (mut count, mut sum) = (0, 0);
        for mut reader in reading {
            let line = reader.hear();
            let (more, part) = line.split_once(' ').unwrap();
            count += more.parse::<u64>().unwrap();
            sum += part.parse::<u64>().unwrap();
            reader.finish();
        }
        let all = writers * each;
        assert_eq!((count, sum), (all, all * (all - 1) / 2), "{writers} writers, {readers} readers");
    }
}

#[test]
fn a_blocked_writer_can_be_killed_and_what_it_wrote_is_read() {
    let directory = name::directory();
    let path = directory.path().join("fifo");
    let fifo = Fifo::create(&path).unwrap();
    let mut reader = fifo.try_reader().unwrap();
    let mut writer = peer!("peer-pipe", "plain_writer", path.display(), 1, 100_000, 0);
    writer.expect("ready");
    writer.tell("go");
    writer.until_asleep_in(libc::SYS_pwritev2);
    writer.kill();
    assert_eq!(writer.wait().signal(), Some(libc::SIGKILL));
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 65_536);
}

#[test]
fn a_fifo_has_the_mode_that_the_umask_leaves_and_its_directory_s_group() {
    let directory = name::directory();
    let mut peer = peer!("peer-pipe", "modes", directory.path().display());
    peer.expect("as the kernel says");
    peer.finish();
}

#[test]
fn there_are_as_many_pipes_as_descriptors_allow() {
    let mut peer = peer!("peer-pipe", "count_pipes");
    let line = peer.hear();
    peer.finish();
    let (pipes, before) = line.split_once(' ').unwrap();
    let [pipes, before]: [usize; 2] = [pipes, before].map(|text| text.parse().unwrap());
    assert_eq!(pipes, (64 - before) / 2);
}

#[test]
fn a_forked_child_harms_nobody() {
    let directory = name::directory();
    let mut peer = peer!("peer-pipe", "forks", directory.path().join("fifo").display());
    peer.expect("unharmed");
    peer.finish();
}

/// Parent and child have the same number, 1, each in its own namespace.
#[test]
fn a_forked_child_in_another_pid_namespace_harms_nobody() {
    if !nix::unistd::geteuid().is_root() {
        skip!("a new pid namespace needs root");
    }
    let directory = name::directory();
    let mut peer = peer!("peer-pipe", "first_forks", directory.path().join("fifo").display());
    peer.expect("true");
    peer.finish();
}
