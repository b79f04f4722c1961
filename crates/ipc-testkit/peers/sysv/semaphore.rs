//! Openers, holders and waiters.
#![expect(unsafe_code, reason = "fork")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_signal::Signal;
use ipc_sys::sysv::semaphore as sys;
use ipc_sysv::{
    Error, Key, MessageBuffer, MessageQueue, MessageType, Op, RemoveOnDrop, Select, SemaphoreSet,
    SemaphoreSetOptions,
};
use ipc_testkit::crash;
use ipc_testkit::role::{Result, hear, say};

use super::argument;

/// The value that every opener wants the semaphore to begin with.
const FIRST: u16 = 10;

/// For each key that it is told: opens or creates the set and adds 1.
pub(crate) fn open_and_add(_: &[String]) -> Result {
    say("ready")?;
    while let Ok(key) = hear() {
        let options = SemaphoreSetOptions::new().initialization_timeout(ipc_testkit::WATCHDOG);
        let (set, origin) = options.open_or_create(key.parse()?, &[FIRST])?;
        set.op(&[Op::add(0, 1)])?;
        say(format_args!("{origin:?}"))?;
    }
    Ok(())
}

/// The same as most tutorials do it: who creates the set sets its value, everybody else just goes on.
pub(crate) fn open_and_add_naively(_: &[String]) -> Result {
    say("ready")?;
    while let Ok(key) = hear() {
        let key = key.parse::<Key>()?.number();
        let id = match sys::get(key, 1, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) {
            Ok(id) => {
                sys::set_value(id, 0, FIRST.into())?;
                id
            }
            Err(_) => sys::get(key, 1, 0)?,
        };
        sys::operate(id, &[libc::sembuf { sem_num: 0, sem_op: 1, sem_flg: 0 }], None)?;
        say("done")?;
    }
    Ok(())
}

/// Creates a set, between marks.
pub(crate) fn create_set(arguments: &[String]) -> Result {
    let key = argument(arguments, 0)?;
    crash::begin();
    let set = SemaphoreSet::create(key, &[FIRST])?;
    crash::end();
    say(set.id())
}

/// Holds a permit until it is told to go on.
pub(crate) fn hold(arguments: &[String]) -> Result {
    let semaphore = SemaphoreSet::from_id(argument(arguments, 0)?)?.semaphore(0)?;
    let _permit = semaphore.acquire()?;
    say("held")?;
    hear().map(drop)
}

pub(crate) fn hold_without_undo(arguments: &[String]) -> Result {
    let set = SemaphoreSet::from_id(argument(arguments, 0)?)?;
    set.op(&[Op::subtract(0, 1)])?;
    say("held")?;
    hear()?;
    Ok(set.op(&[Op::add(0, 1)])?)
}

/// Takes a permit and gives it back, between marks.
pub(crate) fn take_and_give(arguments: &[String]) -> Result {
    let semaphore = SemaphoreSet::from_id(argument(arguments, 0)?)?.semaphore(0)?;
    crash::begin();
    drop(semaphore.acquire()?);
    crash::end();
    Ok(())
}

pub(crate) fn take_and_give_without_undo(arguments: &[String]) -> Result {
    let set = SemaphoreSet::from_id(argument(arguments, 0)?)?;
    crash::begin();
    set.op(&[Op::subtract(0, 1)])?;
    set.op(&[Op::add(0, 1)])?;
    crash::end();
    Ok(())
}

/// For each line: waits for a permit and gives it back.
pub(crate) fn wait_for_permits(arguments: &[String]) -> Result {
    let semaphore = SemaphoreSet::from_id(argument(arguments, 0)?)?.semaphore(0)?;
    say("ready")?;
    while hear().is_ok() {
        drop(semaphore.acquire()?);
        say("had it")?;
    }
    Ok(())
}

/// Waits in so many threads and says how each of them ended.
pub(crate) fn wait_in_threads(arguments: &[String]) -> Result {
    let set = SemaphoreSet::from_id(argument(arguments, 0)?)?;
    let threads: usize = argument(arguments, 1)?;
    let waiters: Vec<_> = (0..threads)
        .map(|at| {
            let set = set.clone();
            // Half of them wait for more, half for zero.
            let op = if at % 2 == 0 { Op::subtract(0, 2) } else { Op::wait_for_zero(0) };
            std::thread::spawn(move || set.op(&[op]))
        })
        .collect();
    say("started")?;
    let ended = waiters.into_iter().map(|waiter| waiter.join().unwrap());
    let removed = ended.filter(|end| matches!(end, Err(Error::Removed { .. }))).count();
    say(removed)
}

pub(crate) fn remove_set(arguments: &[String]) -> Result {
    Ok(SemaphoreSet::from_id(argument(arguments, 0)?)?.remove()?)
}

/// Waits until a signal comes; then waits again and lets no signal end that.
pub(crate) fn wait_interruptibly(arguments: &[String]) -> Result {
    let set = SemaphoreSet::from_id(argument(arguments, 0)?)?;
    let signals = Arc::new(AtomicU64::new(0));
    let _registration = ipc_signal::on(Signal::USR1, &signals)?;
    say("ready")?;
    match set.op_interruptible(&[Op::subtract(0, 1)]) {
        Err(Error::Interrupted { .. }) => say("Interrupted")?,
        other => return Err(format!("{other:?}").into()),
    }
    set.op(&[Op::subtract(0, 1)])?;
    say(format_args!("Ok after {} signals", signals.load(Ordering::Relaxed)))
}

/// Does what each line says, without waiting, and says how that went: `s INDEX VALUE` is SETVAL, `a V0 V1 …` SETALL, and
/// `o INDEX CHANGE UNDO …` several operations.
pub(crate) fn operate(arguments: &[String]) -> Result {
    let set = SemaphoreSet::from_id(argument(arguments, 0)?)?;
    say("ready")?;
    while let Ok(line) = hear() {
        let (what, numbers) = line.split_at(1);
        let numbers: Vec<i32> = numbers.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let small = |number: i32| u16::try_from(number).unwrap();
        let done = match (what, &numbers[..]) {
            ("s", &[index, value]) => set.set_value(small(index), small(value)),
            ("a", values) => set.set_values(&values.iter().copied().map(small).collect::<Vec<_>>()),
            (_, ops) => set.try_op(&ops.chunks(3).map(op).collect::<Vec<_>>()),
        };
        say(match done {
            Ok(()) => "ok",
            Err(Error::WouldBlock { .. }) => "would block",
            Err(Error::OutOfRange { .. }) => "out of range",
            Err(error) => return Err(error.into()),
        })?;
    }
    Ok(())
}

fn op(numbers: &[i32]) -> Op {
    let &[index, change, undo] = numbers else { panic!("three numbers an operation: {numbers:?}") };
    let index = u16::try_from(index).unwrap();
    let by = u16::try_from(change.unsigned_abs()).unwrap();
    let op = match change {
        0 => Op::wait_for_zero(index),
        1.. => Op::add(index, by),
        _ => Op::subtract(index, by),
    };
    if undo == 1 { op.undo() } else { op }
}

/// Forks while it holds a permit; the child drops its copy.
#[expect(clippy::disallowed_methods, reason = "this peer has one thread")]
pub(crate) fn fork_with_a_permit(arguments: &[String]) -> Result {
    let semaphore = SemaphoreSet::from_id(argument(arguments, 0)?)?.semaphore(0)?;
    let permit = semaphore.acquire()?;
    // SAFETY: the only thread, so the child may do what it likes.
    let child = unsafe { nix::unistd::fork()? };
    let nix::unistd::ForkResult::Parent { child } = child else {
        drop(permit);
        return Ok(());
    };
    nix::sys::wait::waitpid(child, None)?;
    say(semaphore.value()?)?;
    drop(permit);
    say(semaphore.value()?)
}

/// Forks while it holds a set that is to go at the end of the scope; the child drops its copy.
#[expect(clippy::disallowed_methods, reason = "this peer has one thread")]
pub(crate) fn fork_with_a_guard(_: &[String]) -> Result {
    let set = RemoveOnDrop::new(SemaphoreSet::create(Key::PRIVATE, &[1])?);
    // SAFETY: the only thread, so the child may do what it likes.
    let child = unsafe { nix::unistd::fork()? };
    let nix::unistd::ForkResult::Parent { child } = child else {
        drop(set);
        return Ok(());
    };
    nix::sys::wait::waitpid(child, None)?;
    say(set.verify().is_ok())?;
    let handle = set.clone();
    drop(set);
    say(handle.verify().is_err_and(|error| error.is_removed()))
}

/// Each call that programs make again and again, between marks.
pub(crate) fn hot(_: &[String]) -> Result {
    let set = RemoveOnDrop::new(SemaphoreSet::create(Key::PRIVATE, &[1, 5])?);
    let semaphore = set.semaphore(0)?;
    let queue = RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE)?);
    let mut buffer = MessageBuffer::new();
    for warm in [false, true] {
        if warm {
            crash::begin();
        }
        set.op(&[Op::subtract(0, 1), Op::add(0, 1)])?;
        set.try_op(&[Op::add(1, 1)])?;
        set.op_timeout(&[Op::add(1, 1)], ipc_testkit::WATCHDOG)?;
        drop(semaphore.acquire()?);
        set.value(0)?;
        set.values()?;
        set.set_value(0, 1)?;
        set.waiting_for_zero(0)?;
        queue.send(MessageType::ONE, b"one")?;
        queue.try_send(MessageType::ONE, &[0; 8192])?;
        queue.peek(0, &mut buffer)?;
        queue.recv(Select::Any, &mut buffer)?;
        queue.try_recv(Select::Any, &mut buffer)?;
    }
    crash::end();
    Ok(())
}
