//! A process that forks with everything in its hands.
#![expect(unsafe_code, reason = "a child is forked raw")]

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_shm::broadcast::lossless;
use ipc_shm::{Barrier, Error, Sealed, Shared, Unattached, mpmc, spsc};
use ipc_testkit::role::{Result, Role, say};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::ends::{Ends, word};

pub(crate) const ROLES: &[Role] = &[
    ("fork-all", fork_all),
    ("fork-loans", fork_loans),
    ("fork-and-drop", fork_and_drop),
    ("inherited", inherited),
];

/// Runs this in a child, which ends with it.
pub(crate) fn in_child(run: impl FnOnce() -> Result) -> Result<WaitStatus> {
    // SAFETY: this process has one thread.
    #[expect(clippy::disallowed_methods, reason = "a single-threaded peer")]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let done = run();
        std::process::exit(i32::from(done.is_err()));
    }
    Ok(waitpid(Pid::from_raw(child), None)?)
}

/// `fork-and-drop NAME`: while a child holds copies of every descriptor, as one does that has not come to its exec yet, drops
/// one end of each kind and takes its place again; says which could not. Last, whether a lock that only close lets go was.
fn fork_and_drop(arguments: &[String]) -> Result {
    let name = |what| format!("{}-{what}", arguments[0]);
    /// As many as there can be.
    fn fill<T>(open: impl Fn() -> ipc_shm::Result<T>) -> Vec<T> {
        std::iter::repeat_with(open).map_while(ipc_shm::Result::ok).collect()
    }
    let one = || spsc::Sender::<u64>::open(name("one"));
    let reader = || lossless::Reader::<u64>::open(name("each"));
    let receiver = || mpmc::Receiver::<u64>::open(name("many"));
    let _one = spsc::Receiver::<u64>::create(name("one"), 16)?;
    let _each = lossless::Writer::<u64>::create(name("each"), 16)?;
    let _many = mpmc::Sender::<u64>::create(name("many"), 16)?;
    let shared = Shared::<Barrier<3>>::anonymous(|_| Ok(()))?;
    let party = || shared.get()?.join(&shared);
    let (mut ones, mut readers, mut receivers, mut parties) =
        (fill(one), fill(reader), fill(receiver), fill(party));
    let naive = std::fs::File::options().write(true).create(true).truncate(true).open(&arguments[1])?;
    let (held, free) = (i16::try_from(libc::F_WRLCK)?, i16::try_from(libc::F_UNLCK)?);
    let mut whole = libc::flock { l_type: held, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(&naive, FcntlArg::F_OFD_SETLK(&whole))?;

    let (gate, open) = std::io::pipe()?;
    // SAFETY: this process has one thread.
    #[expect(clippy::disallowed_methods, reason = "a single-threaded peer")]
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(open);
        let end = std::io::Read::read(&mut &gate, &mut [0]);
        // Nothing of ours is dropped.
        // SAFETY: takes a number.
        unsafe { libc::_exit(i32::from(end.is_err())) }
    }
    let (pop, last) = (ones.len(), [readers.len(), receivers.len(), parties.len()]);
    say(format_args!("full {pop} {last:?}"))?;
    drop((ones.pop(), readers.pop(), receivers.pop(), parties.pop(), naive));
    say(format_args!("one {:?}", one().err()))?;
    say(format_args!("each {:?}", reader().err()))?;
    say(format_args!("many {:?}", receiver().err()))?;
    say(format_args!("party {:?}", party().err()))?;
    fcntl(std::fs::File::open(&arguments[1])?, FcntlArg::F_OFD_GETLK(&mut whole))?;
    say(format_args!("naive {}", whole.l_type != free))?;
    drop(open);
    waitpid(Pid::from_raw(child), None)?;
    Ok(())
}

/// `inherited`: attaches the receiving end that it finds where others have their input, and waits to be killed.
fn inherited(_: &[String]) -> Result {
    let descriptor = std::io::stdin().as_fd().try_clone_to_owned()?;
    let mut receiver = Unattached::<spsc::Receiver<u64>>::try_from(vec![descriptor])?.attach()?;
    say("ready")?;
    receiver.recv()?;
    Ok(())
}

/// `fork-all NAME KINDS`: the child tries every call on every handle and drops them all; then the parent uses them.
fn fork_all(arguments: &[String]) -> Result {
    let mut all = Vec::new();
    for kind in arguments[1].split(',') {
        let name = format!("{}-{kind}", arguments[0]);
        Ends::create(kind, &name)?;
        all.push(Ends::open(kind, &name)?);
    }
    let shared = Shared::<AtomicU64>::anonymous(|_| Ok(()))?;
    let (offer, invitation) = spsc::Sender::<u64, Sealed>::offer(16)?;
    let (mut receiver, acceptance) = invitation.accept()?;
    let (half, _kept) = spsc::Receiver::<u64, Sealed>::offer(16)?;
    let (_, other) = spsc::Sender::<u64, Sealed>::offer(16)?;
    let (_, other) = other.accept()?;
    let mut halves = Some((half, other));
    let mut all = Some(all);
    in_child(|| {
        let mut results = Vec::new();
        for ends in all.iter_mut().flatten() {
            results.extend(ends.use_all(1));
        }
        results.push(shared.get().map(drop));
        results.push(shared.share().map(drop));
        results.push(receiver.try_recv().map(drop));
        if let Some((half, other)) = halves.take() {
            results.push(half.complete(other).map(drop));
        }
        let forked = results.iter().filter(|result| matches!(result, Err(Error::Forked))).count();
        drop(all.take());
        say(format_args!("child {}", results.len() - forked))
    })?;
    let (mut well, mut calls) = (0, 0);
    for ends in all.iter_mut().flatten() {
        for result in ends.use_all(2) {
            calls += 1;
            well += usize::from(word(&result)? == "ok");
        }
    }
    shared.get()?.store(7, Ordering::Relaxed);
    let mut sender = offer.complete(acceptance)?;
    sender.send(&9)?;
    say(format_args!("parent {} {}", well * 2 > calls, receiver.recv()?))
}

/// `fork-loans`: a child touches a loan of sealed memory, then one a borrow; the parent goes on.
fn fork_loans(_: &[String]) -> Result {
    let (offer, invitation) = spsc::Sender::<u64, Sealed>::offer(16)?;
    let (mut receiver, acceptance) = invitation.accept()?;
    let mut sender = offer.complete(acceptance)?;
    let mut loan = sender.loan()?;
    let killed = |end: WaitStatus| matches!(end, WaitStatus::Signaled(_, Signal::SIGSEGV, _));
    let touched = in_child(|| {
        *loan = 8;
        Ok(())
    })?;
    let dropped = {
        let end = in_child(|| {
            // A child that only drops what it has.
            Ok(())
        })?;
        matches!(end, WaitStatus::Exited(_, 0))
    };
    *loan = 4;
    loan.commit();
    say(format_args!("loan {} {dropped} {}", killed(touched), receiver.recv()?))?;

    let (sender, receiver) = spsc::channel::<u64>(16)?;
    let mut sender = sender.attach()?;
    // SAFETY: both ends are this process.
    let mut receiver = unsafe { receiver.attach()?.trust() };
    sender.send(&5)?;
    let borrow = receiver.borrow()?;
    let touched = in_child(|| if *borrow == 5 { Err("it was there".into()) } else { Ok(()) })?;
    let value = *borrow;
    drop(borrow);
    say(format_args!("borrow {} {value} {}", killed(touched), receiver.try_recv().is_err()))
}
