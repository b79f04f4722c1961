//! What a child gets, and that its parent is told when there is no child.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::Command;

use ipc_pipe::{CommandExt, Error, pipe};

/// What a shell that is started so finds under these numbers, a line each: `pipe:[1234]`, or nothing.
fn seen(descriptors: Vec<(RawFd, OwnedFd)>, numbers: &[RawFd]) -> Vec<String> {
    let script: String =
        numbers.iter().map(|number| format!("readlink /proc/$$/fd/{number} || echo;")).collect();
    let output = Command::new("sh").args(["-c", &script]).hand(descriptors).unwrap().output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn link(fd: &impl AsRawFd) -> String {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap().display().to_string()
}

#[test]
fn a_child_gets_what_it_is_handed_and_nothing_else() {
    let ((reader, writer), (kept, _kept)) = (pipe().unwrap(), pipe().unwrap());
    // Somebody's library has left this one inheritable.
    let flags = nix::fcntl::FdFlag::empty();
    nix::fcntl::fcntl(&kept, nix::fcntl::FcntlArg::F_SETFD(flags)).unwrap();
    let leaky = kept.as_raw_fd();
    let control = Command::new("readlink").arg(format!("/proc/self/fd/{leaky}")).output().unwrap();
    assert_eq!(String::from_utf8(control.stdout).unwrap().trim_end(), link(&kept), "the control inherits it");

    let (shown, numbers) = (link(&reader), [reader.as_raw_fd(), writer.as_raw_fd()]);
    let found =
        seen(vec![(60, reader.into()), (61, writer.into())], &[60, 61, numbers[0], numbers[1], leaky]);
    assert_eq!(found, [shown.as_str(), shown.as_str(), "", "", ""]);
}

#[test]
fn two_descriptors_exchange_their_numbers() {
    let ((one, _one), (two, _two)) = (pipe().unwrap(), pipe().unwrap());
    let (a, b) = (one.as_raw_fd(), two.as_raw_fd());
    let links = [link(&two), link(&one)];
    assert_eq!(seen(vec![(a, two.into()), (b, one.into())], &[a, b]), links);
    let (one, _one) = pipe().unwrap();
    let (a, shown) = (one.as_raw_fd(), link(&one));
    assert_eq!(seen(vec![(a, one.into())], &[a]), [shown], "it stays where it is");
}

#[test]
fn a_number_that_is_in_use_here_is_free_for_the_child() {
    let ((one, _one), (here, _here)) = (pipe().unwrap(), pipe().unwrap());
    let (shown, number) = (link(&one), here.as_raw_fd());
    assert_eq!(seen(vec![(number, one.into())], &[number]), [shown]);
    assert!(matches!(here.try_read(&mut [0]), Err(Error::Empty)), "ours is as it was");
}

#[test]
fn a_failed_exec_is_told_and_nothing_is_written_into_what_was_handed() {
    // Every low number, among which std's own pipe would lie.
    let (mut reader, writer) = pipe().unwrap();
    let lowest = writer.as_raw_fd() + 1;
    let mut command = Command::new("/no/such/program");
    command.hand((lowest..lowest + 40).map(|number| (number, writer.try_clone().unwrap()))).unwrap();
    // EBUSY while a number belongs to a pipe that another test has opened since.
    let mut refused = (0..10_000).map(|_| command.spawn().unwrap_err().kind());
    assert_eq!(refused.find(|kind| *kind != ErrorKind::ResourceBusy), Some(ErrorKind::NotFound));
    drop((command, writer));
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"");
}

#[test]
fn a_number_that_could_be_std_s_by_now_is_ebusy() {
    let ((one, _one), (here, _here), (_far, other)) = (pipe().unwrap(), pipe().unwrap(), pipe().unwrap());
    let mut here = OwnedFd::from(here);
    let mut command = Command::new("true");
    command.hand([(here.as_raw_fd(), one)]).unwrap();
    // Whoever held the number gives way to the writing end of another pipe.
    nix::unistd::dup3(&other, &mut here, nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    assert_eq!(command.status().unwrap_err().raw_os_error(), Some(libc::EBUSY));
}

#[test]
fn numbers_that_cannot_be_given_are_refused() {
    for number in [-1, 0, 2] {
        let refused = Command::new("true").hand([(number, pipe().unwrap().0)]).map(drop);
        assert!(matches!(refused, Err(Error::Number { number: found, .. }) if found == number));
    }
    let (one, two) = pipe().unwrap();
    let twice = [(70, OwnedFd::from(one)), (70, OwnedFd::from(two))];
    assert!(matches!(Command::new("true").hand(twice).map(drop), Err(Error::Number { number: 70, .. })));
    let far = Command::new("true").hand([(RawFd::MAX - 1, pipe().unwrap().0)]).map(drop);
    assert!(matches!(far, Err(Error::System { source, .. }) if source.raw_os_error() == Some(libc::EINVAL)));
}

#[test]
fn the_largest_number_there_is_is_beyond_the_limit() {
    let (_reader, writer) = pipe().unwrap();
    let error = Command::new("true").hand([(RawFd::MAX, writer)]).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EINVAL));
}
