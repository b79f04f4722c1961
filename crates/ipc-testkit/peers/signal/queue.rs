//! Values sent and received.
#![expect(unsafe_code, reason = "a forged siginfo can only be sent by the raw call")]

use std::time::Duration;

use ipc_signal::{Error, MaskGuard, Pid, Signal, SignalSet, Value, queue, wait_timeout};
use ipc_testkit::role::{self, hear, say};
use nix::sys::resource::{Resource, setrlimit};

use crate::argument;

/// How the sender and the number of a value share an `int`.
const SHIFT: u32 = 20;

/// `receive-values SIGNAL SENDERS EACH`: takes values until nobody sends any more, and says how many came, how many came
/// twice, and how many out of order. At most 1000 are pending at a time.
pub(crate) fn receive_values(arguments: &[String]) -> role::Result {
    let signal: Signal = argument(arguments, 0)?;
    let (senders, each): (usize, i32) = (argument(arguments, 1)?, argument(arguments, 2)?);
    setrlimit(Resource::RLIMIT_SIGPENDING, 1000, 1000)?;
    let _blocked = MaskGuard::block(SignalSet::from([signal, Signal::USR2]))?;
    say("ready")?;
    // Who has sent all says so by USR2, once all of them have: a number below the values', so values are asked for first.
    let mut seen = vec![vec![0_u32; usize::try_from(each)?]; senders];
    let mut last = vec![-1; senders];
    let mut disordered = 0;
    let mut over = false;
    loop {
        let info = match wait_timeout(signal, Duration::from_millis(if over { 0 } else { 20 })) {
            Ok(info) => info,
            Err(Error::TimedOut) if over => break,
            Err(Error::TimedOut) => {
                over = ipc_signal::try_wait(Signal::USR2).is_ok();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let value = info.value().map(Value::as_i32).ok_or("a signal without a value")?;
        let (sender, number) = (usize::try_from(value >> SHIFT)?, value & ((1 << SHIFT) - 1));
        seen[sender][usize::try_from(number)?] += 1;
        disordered += u32::from(number <= last[sender]);
        last[sender] = number;
    }
    let came = seen.iter().flatten().filter(|count| **count > 0).count();
    let doubled = seen.iter().flatten().filter(|count| **count > 1).count();
    say(format_args!("{came} {doubled} {disordered}"))
}

/// `send-values PID SIGNAL SENDER EACH`: queues that many values and tries again where the queue is full.
pub(crate) fn send_values(arguments: &[String]) -> role::Result {
    let (receiver, signal): (Pid, Signal) = (argument(arguments, 0)?, argument(arguments, 1)?);
    let (sender, each): (i32, i32) = (argument(arguments, 2)?, argument(arguments, 3)?);
    let mut full = 0_u64;
    for number in 0..each {
        while let Err(error) = queue(receiver, signal, sender << SHIFT | number) {
            if !matches!(error, Error::QueueFull { .. }) {
                return Err(error.into());
            }
            full += 1;
            std::thread::yield_now();
        }
    }
    say(full)
}

/// `receive-mixed`: blocks the real-time signals 40 to 44, waits for a line, and prints in which order they come.
pub(crate) fn receive_mixed(_: &[String]) -> role::Result {
    let all: SignalSet = (40..45).map(Signal::from_number).collect::<Result<_, _>>()?;
    let _blocked = MaskGuard::block(all)?;
    say("ready")?;
    hear()?;
    let mut order = Vec::new();
    while let Ok(info) = ipc_signal::try_wait(all) {
        order.push(format!("{}:{}", info.signal().number(), info.value().map_or(-1, Value::as_i32)));
    }
    say(order.join(" "))
}

/// `print-one SIGNAL`: prints all that came with it.
pub(crate) fn print_one(arguments: &[String]) -> role::Result {
    let signal: Signal = argument(arguments, 0)?;
    let _blocked = MaskGuard::block(signal)?;
    say("ready")?;
    let info = wait_timeout(signal, ipc_testkit::WATCHDOG)?;
    say(format_args!("{:?} {:?} {:?}", info.cause(), info.claimed_sender(), info.value().map(Value::as_i32)))
}

/// `obey-init SIGNAL COUNT`: the twin that takes the claimed sender for identity, and obeys process 1 alone. Says how many of
/// so many signals it obeyed.
pub(crate) fn obey_init(arguments: &[String]) -> role::Result {
    let (signal, count): (Signal, u32) = (argument(arguments, 0)?, argument(arguments, 1)?);
    let init = Pid::try_from(1)?;
    let _blocked = MaskGuard::block(signal)?;
    say("ready")?;
    let mut obeyed = 0;
    for _ in 0..count {
        let info = wait_timeout(signal, ipc_testkit::WATCHDOG)?;
        obeyed += u32::from(info.claimed_sender().is_some_and(|sender| sender.pid == init));
    }
    say(obeyed)
}

/// `forge PID SIGNAL CODE`: claims to be process 1, user 0.
pub(crate) fn forge(arguments: &[String]) -> role::Result {
    let (receiver, number): (i32, i32) = (argument(arguments, 0)?, argument(arguments, 1)?);
    let code: i32 = argument(arguments, 2)?;
    let mut info = [0_i32; 32];
    info[0] = number;
    info[2] = code;
    info[4] = 1;
    info[5] = 0;
    // SAFETY: 128 bytes in the layout of siginfo_t, alive for the call.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, receiver, number, info.as_ptr()) };
    say(if result == 0 { "sent".to_owned() } else { std::io::Error::last_os_error().to_string() })
}
