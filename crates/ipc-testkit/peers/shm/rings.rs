//! The other ends of channels that are polled without a socket, and processes that poll so.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ipc_shm::broadcast::lossless;
use ipc_shm::{
    ChannelOptions, Error, Polled, Readable, Select, Wait, broadcast, bytes, latest, mpmc, mpsc, request,
    spsc,
};
use ipc_sys::{Deadline, poll};
use ipc_testkit::audit::Audit;
use ipc_testkit::role::{Result, Role, hear, say};
use ipc_testkit::{crash, refuse};

use crate::forks::in_child;
use crate::system_v;

pub(crate) const ROLES: &[Role] =
    &[("ring-turns", turns), ("ring-refused", refused), ("ring-forker", forker), ("ring-costs", costs)];

/// `ring-turns TURNS KIND NAME`: opens the other end of a channel of this kind, and does for each number that comes in the
/// ring TURNS what whoever polls waits for: it sends the number, or makes room for one.
fn turns(arguments: &[String]) -> Result {
    let mut turns = spsc::Receiver::<u64>::open(&arguments[0])?;
    let mut act = actor(&arguments[1], &arguments[2])?;
    say("ready")?;
    let mut noise = fastrand::Rng::with_seed(u64::from(std::process::id()));
    loop {
        match turns.recv() {
            Ok(turn) => {
                for _ in 0..noise.u32(0..400) {
                    std::hint::spin_loop();
                }
                act(turn)?;
            }
            Err(Error::Disconnected) => break,
            Err(error) => return Err(error.into()),
        }
    }
    say("done")?;
    hear().map(drop)
}

type Actor = Box<dyn FnMut(u64) -> ipc_shm::Result<()>>;

fn actor(kind: &str, name: &str) -> Result<Actor> {
    Ok(match kind {
        "spsc" => {
            let mut sender = spsc::Sender::<u64>::open(name)?;
            Box::new(move |turn| sender.send(&turn))
        }
        "spsc room" => {
            let mut receiver = spsc::Receiver::<u64>::open(name)?;
            Box::new(move |_| receiver.recv().map(drop))
        }
        "bytes" => {
            let mut sender = bytes::Sender::open(name)?;
            Box::new(move |turn| sender.send(&turn.to_ne_bytes()))
        }
        "mpsc" => {
            let mut senders = Vec::new();
            for lane in 0..3 {
                senders.push(spsc::Sender::<u64>::open(format!("{name}-{lane}"))?);
            }
            Box::new(move |turn| senders[fastrand::usize(0..3)].send(&turn))
        }
        "mpmc" => {
            let mut sender = mpmc::Sender::<u64>::open(name)?;
            Box::new(move |turn| sender.send(&turn))
        }
        "mpmc room" => {
            let mut receiver = mpmc::Receiver::<u64>::open(name)?;
            Box::new(move |_| receiver.recv().map(drop))
        }
        "lossless" => {
            let mut writer = lossless::Writer::<u64>::open(name)?;
            Box::new(move |turn| writer.write(&turn))
        }
        "lossless room" => {
            let mut reader = lossless::Reader::<u64>::open(name)?;
            Box::new(move |_| reader.recv().map(drop))
        }
        "broadcast" => {
            let mut writer = broadcast::Writer::<u64>::open(name)?;
            Box::new(move |turn| writer.write(&turn))
        }
        "latest" => {
            let mut writer = latest::Writer::<u64>::open(name)?;
            Box::new(move |turn| writer.write(&turn))
        }
        "request" => {
            let client = request::Client::<u64, u64>::open(name)?;
            Box::new(move |turn| client.call(&turn).map(drop))
        }
        "answer" => {
            let server = request::Server::<u64, u64>::open(name)?;
            Box::new(move |_| {
                let request = server.recv()?;
                let question = *request.question();
                request.answer(&question)
            })
        }
        "sysv" => {
            let (key, lock_file) = name.split_once('@').ok_or("no lock file")?;
            let mut sender: spsc::Sender<u64> = system_v::place(key, lock_file)?.open()?;
            Box::new(move |turn| sender.send(&turn))
        }
        other => return Err(format!("no kind {other:?}").into()),
    })
}

/// A receiver and a full sender without sockets, with their other ends.
#[expect(clippy::type_complexity, reason = "four ends")]
fn ends() -> Result<(spsc::Sender<u64>, spsc::Receiver<u64>, mpmc::Sender<u64>, mpmc::Receiver<u64>)> {
    let (sender, receiver) = spsc::channel::<u64>(16)?;
    let mut full = mpmc::Sender::<u64>::anonymous(16)?;
    let other = mpmc::Receiver::from_fd(full.share()?)?;
    while full.try_send(&0).is_ok() {}
    Ok((sender.attach()?, receiver.attach()?, full, other))
}

/// `ring-refused CALL ERRNO`: a kernel that refuses one of io_uring's calls; says what becomes of ends that need them.
fn refused(arguments: &[String]) -> Result {
    let call = match &*arguments[0] {
        "setup" => libc::SYS_io_uring_setup,
        "register" => libc::SYS_io_uring_register,
        _ => libc::SYS_io_uring_enter,
    };
    refuse::call(call, arguments[1].parse()?)?;
    let audit = Audit::begin();
    for refused in without_sockets()? {
        match refused {
            Ok(armed) => say(armed)?,
            Err(error @ Error::NoUring { .. }) => say(format_args!("{:?} {error}", error.errno()))?,
            Err(error) => return Err(error.into()),
        }
    }
    audit.end();
    say("nothing leaked")?;

    // With a socket it goes on.
    let (sender, receiver) = spsc::channel::<u64>(ChannelOptions::new(16).pollable())?;
    let (mut sender, mut receiver) = (sender.attach()?, Polled::new(receiver.attach()?)?);
    let armed = receiver.arm()?;
    sender.send(&7)?;
    say(format_args!("{armed} {} {}", is_readable(&receiver, 1000)?, receiver.try_recv()?))
}

/// What comes of ends that need a ring, by each of the ways to need one.
fn without_sockets() -> Result<[ipc_shm::Result<bool>; 4]> {
    let (_sender, receiver, full, _other) = ends()?;
    let (_lane, mut deaf, ..) = ends()?;
    let (quiet, _kept) = UnixStream::pair()?;
    let mut lanes = mpsc::Receiver::new();
    let beside = Select::new()
        .wait_timeout(&mut [&mut deaf, &mut Readable(&quiet)], Duration::from_secs(5))
        .map(|_| true);
    lanes.admit(deaf)?;
    Ok([
        Polled::new(receiver).and_then(|mut receiver| receiver.arm()),
        Polled::new(full).and_then(|mut full| full.arm()),
        Polled::new(lanes).and_then(|mut lanes| lanes.arm()),
        beside,
    ])
}

fn is_readable(fd: impl AsFd, millis: u64) -> Result<bool> {
    Ok(poll::wait(fd, libc::POLLIN, Deadline::after(Duration::from_millis(millis)))?.is_some())
}

/// `ring-forker`: a child arms its parent's end and drops it; then the parent is woken, and goes on.
fn forker(_: &[String]) -> Result {
    let (mut sender, receiver, full, mut other) = ends()?;
    let mut ours = Some((Polled::new(receiver)?, Polled::new(full)?, Select::new()));
    let (quiet, _kept) = UnixStream::pair()?;
    if let Some((receiver, full, select)) = &mut ours {
        let waited = select
            .wait_timeout(&mut [&mut **receiver, &mut Readable(&quiet)], Duration::from_millis(20))
            .map_err(|error| error.errno());
        say(format_args!("{waited:?} {} {}", receiver.arm()?, full.arm()?))?;
    }
    in_child(|| {
        if let Some((receiver, full, select)) = &mut ours {
            let refused = [receiver.arm(), full.arm()];
            let all = refused.iter().all(|refused| matches!(refused, Err(Error::Forked)));
            // Its own ends, with the select that it has from its parent.
            let (mut sender, mut receiver, ..) = ends()?;
            sender.send(&1)?;
            receiver.try_recv()?;
            let waited = select
                .wait_timeout(&mut [&mut receiver, &mut Readable(&quiet)], Duration::from_millis(20))
                .map_err(|error| error.errno());
            say(format_args!("child {all} {waited:?}"))?;
        }
        drop(ours.take());
        Ok(())
    })?;
    let Some((mut receiver, mut full, mut select)) = ours else { return Err("gone".into()) };
    sender.send(&7)?;
    other.recv()?;
    let woken = is_readable(&receiver, 30)? && is_readable(&full, 30)?;
    say(format_args!("parent {woken} {}", receiver.try_recv()?))?;
    full.try_send(&1)?;
    say(format_args!("armed {} {}", receiver.arm()?, full.arm()?))?;
    sender.send(&8)?;
    say(select.wait(&mut [&mut *receiver, &mut Readable(&quiet)])?)
}

/// `ring-costs TIMES`: between the marks, receives what is there and arms so many times.
fn costs(arguments: &[String]) -> Result {
    let (mut sender, receiver, ..) = ends()?;
    let mut receiver = Polled::new(receiver)?;
    receiver.set_wait(Wait::Park);
    receiver.arm()?;
    for message in 0..10 {
        sender.send(&message)?;
    }
    let (mut came, mut armed) = (0, 0);
    crash::begin();
    while receiver.try_recv().is_ok() {
        came += 1;
    }
    for _ in 0..arguments[0].parse()? {
        armed += u32::from(receiver.arm()?);
    }
    crash::end();
    if (came, armed) == (10, arguments[0].parse()?) { Ok(()) } else { Err(format!("{came} {armed}").into()) }
}
