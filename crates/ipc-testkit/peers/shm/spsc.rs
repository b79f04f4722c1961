//! The other end of a ring.
#![expect(unsafe_code, reason = "a scribbler writes where no safe API lets it, and a child is forked raw")]

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_shm::{Acceptance, ChannelOptions, Error, Invitation, Sealed, Wait, spsc};
use ipc_testkit::role::{Result, Role, hear, say};

pub(crate) const ROLES: &[Role] = &[
    ("spsc-sender", sender),
    ("spsc-receiver", receiver),
    ("spsc-echo", echo),
    ("spsc-invited", invited),
    ("spsc-offerer", offerer),
    ("namespace", namespace),
    ("spsc-forker", forker),
    ("spsc-filler", filler),
    ("spsc-scribbler", scribbler),
    ("spsc-starter", starter),
    ("spsc-attacher", attacher),
    ("spsc-restarter", restarter),
];

pub(crate) fn wait_of(name: &str) -> Wait {
    match name {
        "spin" => Wait::Spin,
        "park" => Wait::Park,
        _ => Wait::SpinThenPark,
    }
}

/// `spsc-sender NAME FROM COUNT WAIT [hold]`: sends FROM.. one by one.
fn sender(arguments: &[String]) -> Result {
    let mut sender = spsc::Sender::<u64>::open(&arguments[0])?;
    sender.set_wait(wait_of(&arguments[3]));
    say("ready")?;
    let from: u64 = arguments[1].parse()?;
    let count: u64 = arguments[2].parse()?;
    for message in from..from + count {
        sender.send(&message)?;
    }
    say("sent")?;
    if arguments.len() > 4 {
        hear()?;
    }
    Ok(())
}

/// `spsc-filler NAME`: sends until the receiver is gone, and says so and when.
fn filler(arguments: &[String]) -> Result {
    let mut sender = spsc::Sender::<u64>::open(&arguments[0])?;
    sender.set_wait(wait_of(&arguments[1]));
    say("ready")?;
    let mut next = 0;
    loop {
        let start = Instant::now();
        match sender.send(&next) {
            Ok(()) => next += 1,
            Err(error) => return say(format_args!("{error} {}", start.elapsed().as_millis())),
        }
    }
}

/// `spsc-receiver NAME WAIT [take N]`: receives, checks the order, says where it ended and why.
fn receiver(arguments: &[String]) -> Result {
    let mut receiver = spsc::Receiver::<u64>::open(&arguments[0])?;
    receiver.set_wait(wait_of(&arguments[1]));
    say("ready")?;
    let take: u64 = arguments.get(2).map_or(Ok(u64::MAX), |text| text.parse())?;
    let mut next = None;
    for _ in 0..take {
        match receiver.recv() {
            Ok(message) => {
                if next.is_some_and(|next| next != message) {
                    return say(format_args!("wanted {next:?}, got {message}"));
                }
                next = Some(message + 1);
            }
            Err(error) => return say(format_args!("{} {error}", next.unwrap_or(0))),
        }
    }
    say(format_args!("{} enough", next.unwrap_or(0)))?;
    hear()?;
    Ok(())
}

/// `spsc-echo THERE BACK WAIT`: sends back what it gets.
fn echo(arguments: &[String]) -> Result {
    let mut receiver = spsc::Receiver::<u64>::open(&arguments[0])?;
    let mut sender = spsc::Sender::<u64>::open(&arguments[1])?;
    receiver.set_wait(wait_of(&arguments[2]));
    sender.set_wait(wait_of(&arguments[2]));
    say("ready")?;
    let mut noise = fastrand::Rng::with_seed(u64::from(std::process::id()));
    loop {
        match receiver.recv() {
            Ok(message) => {
                for _ in 0..noise.u32(0..40) {
                    std::hint::spin_loop();
                }
                sender.send(&message)?;
            }
            Err(Error::Disconnected) => return say("gone"),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A descriptor of the test's, by its /proc path.
fn descriptor(path: &str) -> Result<OwnedFd> {
    Ok(File::open(path)?.into())
}

/// `spsc-invited FD-PATH sender|receiver`: accepts an invitation, offers its acceptance's path, then sends or receives 1000.
fn invited(arguments: &[String]) -> Result {
    let descriptors = vec![descriptor(&arguments[0])?];
    let show = |acceptance: Acceptance| -> Result<Vec<OwnedFd>> {
        let descriptors: Vec<OwnedFd> = acceptance.into();
        say(format_args!("/proc/{}/fd/{}", std::process::id(), descriptors[0].as_raw_fd()))?;
        Ok(descriptors)
    };
    if arguments[1] == "sender" {
        let invitation = Invitation::<spsc::Sender<u64, Sealed>>::try_from(descriptors)?;
        let (mut sender, acceptance) = invitation.accept()?;
        let _kept = show(acceptance)?;
        hear()?;
        for message in 0..1000 {
            let mut loan = sender.loan()?;
            *loan = message;
            loan.commit();
        }
    } else {
        let invitation = Invitation::<spsc::Receiver<u64, Sealed>>::try_from(descriptors)?;
        let (mut receiver, acceptance) = invitation.accept()?;
        let _kept = show(acceptance)?;
        hear()?;
        for message in 0..1000 {
            if receiver.recv()? != message {
                return Err("wrong message".into());
            }
        }
        say(format_args!("{:?}", receiver.recv().err().map(|error| error.to_string())))?;
    }
    Ok(())
}

/// `namespace ROLE ...`: plays the role as the first process of a new pid namespace.
fn namespace(arguments: &[String]) -> Result {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID)?;
    let mut child = std::process::Command::new(std::env::current_exe()?).args(arguments).spawn()?;
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(status.to_string().into()) }
}

/// `spsc-offerer sender|receiver`: makes its half, shows the other's invitation, and does no more.
fn offerer(arguments: &[String]) -> Result {
    fn show(invitation: impl Into<Vec<OwnedFd>>) -> Result {
        let invitation = invitation.into();
        say(format_args!("/proc/{}/fd/{}", std::process::id(), invitation[0].as_raw_fd()))?;
        hear().map(drop)
    }
    if arguments[0] == "sender" {
        let (_offer, invitation) = spsc::Sender::<u64, Sealed>::offer(16)?;
        show(invitation)
    } else {
        let (_offer, invitation) = spsc::Receiver::<u64, Sealed>::offer(16)?;
        show(invitation)
    }
}

/// `spsc-forker NAME`: forks with both kinds of end in hand.
fn forker(arguments: &[String]) -> Result {
    let mut sender = spsc::Sender::<u64>::create(&arguments[0], 16)?;
    let mut receiver = spsc::Receiver::<u64>::open(&arguments[0])?;
    sender.send(&1)?;
    // SAFETY: this process has one thread.
    #[expect(clippy::disallowed_methods, reason = "a single-threaded peer")]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let forked = [
            matches!(sender.try_send(&2), Err(Error::Forked)),
            matches!(sender.send(&2), Err(Error::Forked)),
            matches!(receiver.try_recv(), Err(Error::Forked)),
            matches!(receiver.recv_timeout(Duration::ZERO), Err(Error::Forked)),
            matches!(receiver.release(), Err(Error::Forked)),
        ];
        drop((sender, receiver));
        say(format_args!("child {forked:?}"))?;
        std::process::exit(0);
    }
    nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child), None)?;
    sender.send(&3)?;
    say(format_args!("parent {} {}", receiver.recv()?, receiver.recv()?))?;
    // A loan that is touched in a child kills the child.
    // SAFETY: both ends are this process.
    let mut sender = unsafe { sender.trust() };
    let mut loan = sender.loan()?;
    // SAFETY: this process has one thread.
    #[expect(clippy::disallowed_methods, reason = "a single-threaded peer")]
    let child = unsafe { libc::fork() };
    if child == 0 {
        *loan = 9;
        std::process::exit(0);
    }
    let end = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child), None)?;
    *loan = 4;
    loan.commit();
    say(format_args!(
        "loan {} {}",
        matches!(end, nix::sys::wait::WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGSEGV, _)),
        receiver.recv()?
    ))
}

/// All words of a named segment, for who writes where no safe call lets it.
pub(crate) fn words_of_file(name: &str) -> Result<&'static [AtomicU64]> {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(format!("/dev/shm/{name}"))?;
    let len = usize::try_from(file.metadata()?.len())?;
    // SAFETY: a new mapping at the kernel's choice of address.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err("mmap".into());
    }
    // SAFETY: mapped above, never unmapped, reached through atomics.
    Ok(unsafe { std::slice::from_raw_parts(base.cast::<AtomicU64>(), len / 8) })
}

/// `spsc-scribbler NAME MILLISECONDS SEED`: writes random words all over a trusted segment.
fn scribbler(arguments: &[String]) -> Result {
    let words = words_of_file(&arguments[0])?;
    let end = Instant::now() + Duration::from_millis(arguments[1].parse()?);
    let mut random = fastrand::Rng::with_seed(arguments[2].parse()?);
    say("ready")?;
    let mut written = 0_u64;
    while Instant::now() < end {
        for _ in 0..1000 {
            let word = &words[random.usize(0..words.len())];
            let now = word.load(Ordering::Relaxed);
            let value = match random.u8(0..5) {
                0 => random.u64(..),
                1 => 0,
                2 => u64::MAX,
                3 => now.wrapping_add(random.u64(0..3)),
                _ => now ^ 1 << random.u32(0..64),
            };
            word.store(value, Ordering::Relaxed);
            written += 1;
        }
    }
    say(format_args!("{written}"))
}

/// `spsc-starter NAME`: creates or takes up a channel again and again, until it is killed.
fn starter(arguments: &[String]) -> Result {
    say("ready")?;
    loop {
        let (sender, _) = spsc::Sender::<u64>::open_or_replace(&arguments[0], ChannelOptions::new(16))?;
        sender.persist();
        drop(sender);
    }
}

/// `spsc-attacher NAME`: attaches the receiving end and lets it go again and again, until it is killed.
fn attacher(arguments: &[String]) -> Result {
    say("ready")?;
    loop {
        drop(spsc::Receiver::<u64>::open(&arguments[0])?);
    }
}

/// `spsc-restarter NAME COUNT`: after somebody's death, one start that must work; says how.
fn restarter(arguments: &[String]) -> Result {
    let (mut sender, origin) = spsc::Sender::<u64>::open_or_replace(&arguments[0], ChannelOptions::new(16))?;
    let mut receiver = spsc::Receiver::<u64>::open(&arguments[0])?;
    sender.send(&7)?;
    say(format_args!("{origin:?} {}", receiver.recv()?))
}
