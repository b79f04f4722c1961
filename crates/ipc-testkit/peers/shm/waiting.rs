//! The other ends of channels that are polled and selected. They meet the test over a socket that they inherit.
#![expect(unsafe_code, reason = "an inherited descriptor is made from its number")]

use std::os::fd::{FromRawFd, OwnedFd};

use ipc_shm::{Error, Invitation, Sealed, Wait, broadcast, bytes, latest, request, spsc};
use ipc_testkit::role::{Result, Role, hear, say};
use ipc_uds::{Framed, Stream};

pub(crate) const ROLES: &[Role] = &[
    ("polled-sender", sender),
    ("polled-echo", echo),
    ("selected-senders", senders),
    ("old-kernel", old_kernel),
    ("polled-keeper", keeper),
    ("invited-reader", reader),
    ("invited-client", client),
    ("invited-server", server),
];

/// What the test hands its peers, under this number.
const MEETING: i32 = 7;

/// The other side of the test's [`Framed`].
fn meeting() -> Result<Framed<Stream>> {
    // SAFETY: the test has put the socket under this number, and nothing else here uses it.
    let fd = unsafe { OwnedFd::from_raw_fd(MEETING) };
    Ok(Framed::new(Stream::from(fd), 16, 8)?)
}

fn accept<E: ipc_shm::End>(meeting: &mut Framed<Stream>) -> Result<E> {
    let message = meeting.recv()?.ok_or("the test is gone")?;
    let (end, acceptance) = Invitation::<E>::try_from(message.descriptors)?.accept()?;
    meeting.send_with(b"accepted", acceptance)?;
    Ok(end)
}

/// `polled-sender`: accepts, then sends as many numbers as each line says.
fn sender(_: &[String]) -> Result {
    let mut sender: spsc::Sender<u64, Sealed> = accept(&mut meeting()?)?;
    say("ready")?;
    let mut next = 0;
    while let Ok(line) = hear() {
        for _ in 0..line.parse()? {
            sender.send(&next)?;
            next += 1;
        }
        say("sent")?;
    }
    Ok(())
}

/// `invited-reader log|cell WAIT`: accepts a reader and reads to the end; says each number that comes, and at the
/// end how many came, and why it ended.
fn reader(arguments: &[String]) -> Result {
    let wait = if arguments[1] == "poll" { Wait::Poll } else { Wait::Park };
    let mut came = 0_u64;
    let mut count = |next: ipc_shm::Result<u64>| match next {
        Ok(message) if message == came => {
            came += 1;
            say(message).err().map(|error| error.to_string())
        }
        Ok(message) => Some(format!("{message} where {came} was wanted")),
        Err(error) => Some(format!("{came} {error}")),
    };
    let end = if arguments[0] == "log" {
        let mut reader: broadcast::Reader<u64, Sealed> = accept(&mut meeting()?)?;
        reader.set_wait(wait);
        say("ready")?;
        std::iter::from_fn(|| Some(reader.recv())).find_map(&mut count)
    } else {
        let mut reader: latest::Reader<u64, Sealed> = accept(&mut meeting()?)?;
        reader.set_wait(wait);
        say("ready")?;
        std::iter::from_fn(|| Some(reader.wait())).find_map(&mut count)
    };
    say(end.unwrap_or_default())
}

/// What the tests' servers answer.
fn answer_to(question: u64) -> u64 {
    question.wrapping_mul(3) ^ 1
}

/// `invited-client FROM COUNT WAIT`: accepts the asking end and makes COUNT calls one by one, numbered from FROM on; stays
/// until it hears something.
fn client(arguments: &[String]) -> Result {
    let mut client: request::Client<u64, u64, Sealed> = accept(&mut meeting()?)?;
    client.set_wait(if arguments[2] == "poll" { Wait::Poll } else { Wait::Park });
    say("ready")?;
    let from = arguments[0].parse::<u64>()?;
    for question in from..from + arguments[1].parse::<u64>()? {
        let answer = client.call(&question)?;
        if answer != answer_to(question) {
            return say(format_args!("{question} was answered {answer}"));
        }
    }
    say("done")?;
    hear().map(drop)
}

/// `invited-server WAIT`: accepts the answering end, and answers until the client is gone.
fn server(arguments: &[String]) -> Result {
    let mut server: request::Server<u64, u64, Sealed> = accept(&mut meeting()?)?;
    server.set_wait(if arguments[0] == "poll" { Wait::Poll } else { Wait::Park });
    say("ready")?;
    loop {
        match server.recv() {
            Ok(request) => {
                let answer = answer_to(*request.question());
                request.answer(&answer)?;
            }
            Err(Error::Disconnected) => return say("gone"),
            Err(error) => return Err(error.into()),
        }
    }
}

/// `polled-keeper`: as `polled-sender` with a child that keeps copies of everything; dies when it is told to.
fn keeper(_: &[String]) -> Result {
    let mut sender: spsc::Sender<u64, Sealed> = accept(&mut meeting()?)?;
    // SAFETY: this process has one thread.
    #[expect(clippy::disallowed_methods, reason = "a single-threaded peer")]
    let child = unsafe { libc::fork() };
    if child == 0 {
        // It goes when the test closes the pipe that is its standard input.
        let _ = hear();
        std::process::exit(0);
    }
    sender.send(&7)?;
    say("ready")?;
    // SAFETY: ends this process at once, and with it nothing but its own.
    unsafe { libc::pause() };
    Ok(())
}

/// `polled-echo WAIT`: accepts a receiver and a sender, and sends back what it gets.
fn echo(arguments: &[String]) -> Result {
    let mut meeting = meeting()?;
    let mut receiver: spsc::Receiver<u64, Sealed> = accept(&mut meeting)?;
    let mut sender: spsc::Sender<u64, Sealed> = accept(&mut meeting)?;
    let wait = if arguments[0] == "poll" { Wait::Poll } else { Wait::Park };
    receiver.set_wait(wait);
    sender.set_wait(wait);
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

/// `selected-senders COUNT`: accepts a ring of numbers and one of bytes, and sends COUNT messages, into either by chance,
/// one for each line that it hears: the message is its number.
fn senders(arguments: &[String]) -> Result {
    let mut meeting = meeting()?;
    let mut numbers: spsc::Sender<u64, Sealed> = accept(&mut meeting)?;
    let mut texts: bytes::Sender<Sealed> = accept(&mut meeting)?;
    let mut back: spsc::Receiver<u64, Sealed> = accept(&mut meeting)?;
    say("ready")?;
    let mut random = fastrand::Rng::with_seed(u64::from(std::process::id()));
    for message in 0..arguments[0].parse::<u64>()? {
        if random.bool() {
            numbers.send(&message)?;
        } else {
            texts.send(&message.to_ne_bytes())?;
        }
        if back.recv()? != message {
            return Err("another answer".into());
        }
    }
    say("done")?;
    hear().map(drop)
}

/// `old-kernel`: where futex_waitv is ENOSYS, a wait for several is a typed error, or a poll where it can be.
fn old_kernel(_: &[String]) -> Result {
    use std::time::Duration;
    ipc_testkit::refuse::call(libc::SYS_futex_waitv, libc::ENOSYS)?;
    for pollable in [false, true] {
        // What fails does so at once, and not at the end of this time.
        let soon = if pollable { Duration::from_millis(2) } else { ipc_testkit::WATCHDOG };
        let options = ipc_shm::ChannelOptions::new(16);
        let options = if pollable { options.pollable() } else { options };
        let (sender, receiver) = spsc::channel::<u64>(options)?;
        let (mut sender, mut receiver) = (sender.attach()?, receiver.attach()?);
        let mut select = ipc_shm::Select::new();
        let waited = select.wait_timeout(&mut [&mut receiver], soon);
        say(format_args!("{:?}", waited.map_err(|error| error.errno())))?;
        sender.send(&1)?;
        say(format_args!("{:?}", select.wait(&mut [&mut receiver])?))?;
    }
    Ok(())
}
