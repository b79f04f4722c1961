//! Processes that hold, wait for, and die with what is built from the robust mutex.
#![expect(unsafe_code, reason = "trust, and a child that is forked raw")]

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ipc_shm::{Attempt, Error, InPlace, LockError, Mutex, Shared, Vouched};
use ipc_testkit::role::{Result, Role, hear, say};
use ipc_testkit::{WATCHDOG, crash};

use ipc_testkit::locks::{Everything, Many, add, attached, locked, repaired};

pub(crate) const ROLES: &[Role] = &[
    ("add", add_once),
    ("naive-add", naive_add),
    ("wait", wait),
    ("queue", queue),
    ("naive-queue", naive_queue),
    ("hold", hold),
    ("adder", adder),
    ("execute", execute),
    ("fork", fork),
    ("prepare", prepare),
    ("namespace", namespace),
    ("wait-holding", wait_holding),
    ("hold-many", hold_many),
    ("hold-foreign", hold_foreign),
    ("consumer", consumer),
    ("wait-condition", wait_condition),
    ("notify", notify),
    ("once", once),
    ("uncontended", uncontended),
];

pub(crate) fn open<T: InPlace>(arguments: &[String]) -> Result<Shared<T, Vouched>> {
    let shared = attached::<T>(&arguments[0])?;
    // SAFETY: the test and its peers are the only ones who know the name, and keep to the protocol.
    Ok(unsafe { shared.trust() })
}

/// `add NAME`: lock, add to both numbers, unlock, and may die at each instruction of it.
fn add_once(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let everything = shared.get()?;
    crash::begin();
    let mut guard = locked(&everything.pair)?;
    add(&mut guard);
    drop(guard);
    crash::end();
    Ok(())
}

/// `naive-add NAME`: the same with the lock that knows nothing of death.
fn naive_add(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let naive = &shared.get()?.naive;
    crash::begin();
    while !naive.try_lock() {}
    naive.first.fetch_add(1, Ordering::Relaxed);
    naive.second.fetch_add(1, Ordering::Relaxed);
    naive.unlock();
    crash::end();
    Ok(())
}

/// `wait NAME`: waits for the lock, which the test holds, until it gives up.
fn wait(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let pair = &shared.get()?.pair;
    crash::begin();
    let result = repaired(pair.lock_timeout(Duration::from_millis(1)));
    crash::end();
    match result {
        Err(Error::TimedOut) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// `queue NAME`: waits for the lock, which the test holds, for as long as it takes, and holds it until it is told otherwise.
fn queue(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let pair = &shared.get()?.pair;
    say("waiting")?;
    let _guard = locked(pair)?;
    say("locked")?;
    hear().map(drop)
}

/// `naive-queue NAME`: the same by pthread_mutex_lock alone.
fn naive_queue(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let mutex = (&raw const shared.get()?.pair).cast::<libc::pthread_mutex_t>().cast_mut();
    say("waiting")?;
    // SAFETY: the mutex comes first in a `Mutex`, is initialised and stays mapped.
    let result = unsafe { libc::pthread_mutex_lock(mutex) };
    say(format_args!("locked {result}"))?;
    hear().map(drop)
}

/// `hold NAME`: takes all locks, changes half of what one guards, and holds them until it is told otherwise.
fn hold(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let everything = shared.get()?;
    let _second = everything.second.lock().map_err(LockError::give_up)?;
    let _items = everything.items.lock().map_err(LockError::give_up)?;
    let mut guard = locked(&everything.pair)?;
    guard[0] += 1;
    say("holding")?;
    hear()?;
    guard[1] += 1;
    drop(guard);
    say("unlocked")?;
    hear().map(drop)
}

/// `adder NAME`: adds for ever, repairing what others left.
fn adder(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let everything = shared.get()?;
    say("ready")?;
    loop {
        let mut guard = locked(&everything.pair)?;
        if guard[0] != guard[1] {
            say("torn")?;
        }
        add(&mut guard);
    }
}

/// `execute NAME`: becomes another program while it holds the lock.
fn execute(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let guard = locked(&shared.get()?.pair)?;
    std::mem::forget(guard);
    Err(Command::new("sleep").arg("10").exec().into())
}

/// `fork NAME`: holds the lock while a child comes and goes, which says what the handles do there.
fn fork(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let guard = locked(&shared.get()?.pair)?;
    let others = (shared.get()?.table.write().map_err(LockError::give_up)?, shared.get()?.second.lock());
    // SAFETY: this process has one thread, so the child may do what it likes.
    #[expect(clippy::disallowed_methods, reason = "a peer of one thread")]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let forked = matches!(shared.get(), Err(Error::Forked));
        drop(shared.share());
        // Copies of its parent's, of which it holds nothing.
        drop((guard, others));
        // SAFETY: ends this process without running what belongs to the parent.
        unsafe { libc::_exit(if forked { 7 } else { 1 }) }
    }
    let mut status = 0;
    // SAFETY: `status` is a live int, the child is ours.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    say(format_args!("child {}", libc::WEXITSTATUS(status)))?;
    hear()?;
    drop((guard, others));
    say("unlocked")
}

/// `prepare NAME`: memory that is not made after all, with a lock in it that was locked meanwhile and forgotten. NAME is taken.
fn prepare(arguments: &[String]) -> Result {
    let other = Shared::<Mutex<u64>>::anonymous(|_| Ok(()))?;
    // SAFETY: nobody else has this memory.
    let other = unsafe { other.trust() };
    let forget = |everything: &Everything| std::mem::forget(everything.second.lock());
    let failed = Shared::anonymous(|everything| {
        forget(everything);
        Err(Error::Broken)
    });
    let panicked = std::panic::catch_unwind(|| {
        Shared::anonymous(|everything| {
            forget(everything);
            std::panic::resume_unwind(Box::new("as the test wants it"))
        })
    });
    let taken = Shared::create(&arguments[0], |everything| {
        forget(everything);
        Ok(())
    });
    let made = (failed.is_ok(), panicked.is_ok(), taken.is_ok());
    // The C library's list of what this thread holds leads through all of them.
    drop(other.get()?.lock().map_err(LockError::give_up)?);
    say(format_args!("{made:?}"))
}

/// `namespace ROLE NAME`: plays the role as the first process of a new pid namespace.
fn namespace(arguments: &[String]) -> Result {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID)?;
    let mut child = Command::new(std::env::current_exe()?).args(arguments).spawn()?;
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(status.to_string().into()) }
}

/// `wait-holding OWN OTHER`: waits for the other's lock while it holds one of its own, first with a deadline.
fn wait_holding(arguments: &[String]) -> Result {
    let (own, other) = (open::<Everything>(arguments)?, open::<Everything>(&arguments[1..])?);
    let _guard = locked(&own.get()?.pair)?;
    let pair = &other.get()?.pair;
    match pair.lock_timeout(Duration::from_millis(20)) {
        Err(LockError::Failed(Error::TimedOut)) => say("timed out")?,
        other => say(format_args!("{other:?}"))?,
    }
    match pair.lock() {
        Err(LockError::OwnerDied(recovery)) => drop(recovery.repaired()),
        other => return Err(format!("{other:?}").into()),
    }
    say("owner died")
}

/// `hold-many NAME`: takes as many locks as it gets, and as many of another library.
fn hold_many(arguments: &[String]) -> Result {
    let shared = open::<Many>(arguments)?;
    let many = shared.get()?;
    for foreign in many.foreign.iter().take(1000) {
        foreign.lock();
    }
    let mut held = 0;
    for mutex in &many.ours {
        match mutex.lock() {
            Ok(guard) => std::mem::forget(guard),
            Err(LockError::Failed(Error::TooManyLocks { .. })) => break,
            Err(error) => return Err(format!("{error:?}").into()),
        }
        held += 1;
    }
    say(held)?;
    hear().map(drop)
}

/// `hold-foreign NAME`: takes 3,000 robust mutexes without asking how many there may be.
fn hold_foreign(arguments: &[String]) -> Result {
    let shared = open::<Many>(arguments)?;
    for foreign in &shared.get()?.foreign {
        foreign.lock();
    }
    say("holding")?;
    hear().map(drop)
}

/// `consumer NAME`: takes items for ever, waiting for each.
fn consumer(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let everything = shared.get()?;
    say("ready")?;
    loop {
        let guard = everything.items.lock().or_else(|error| error.repair(|_| ()))?;
        let mut guard = everything
            .arrived
            .wait_while(guard, |items| items[0] == 0)
            .or_else(|error| error.repair(|_| ()))?;
        // The lock may have come from a dead owner without a look at the condition.
        if guard[0] > 0 {
            guard[0] -= 1;
            guard[1] += 1;
        }
    }
}

/// `wait-condition NAME`: waits for a notification that does not come.
fn wait_condition(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let everything = shared.get()?;
    crash::begin();
    let guard = everything.items.lock().or_else(|error| error.repair(|_| ()))?;
    let done = everything.arrived.wait_timeout(guard, Duration::from_millis(1));
    drop(done);
    crash::end();
    Ok(())
}

/// `notify NAME`: puts an item there and notifies one.
fn notify(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let everything = shared.get()?;
    crash::begin();
    let mut guard = everything.items.lock().or_else(|error| error.repair(|_| ()))?;
    guard[0] += 1;
    drop(guard);
    everything.arrived.notify_one()?;
    crash::end();
    Ok(())
}

/// `once NAME`: does it once, in two steps.
fn once(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let everything = shared.get()?;
    crash::begin();
    everything.once.call_once(|attempt| {
        if attempt == Attempt::Again {
            everything.runs.iter().for_each(|run| run.store(0, Ordering::Relaxed));
        }
        everything.runs.iter().for_each(|run| {
            run.fetch_add(1, Ordering::Relaxed);
        });
    })?;
    crash::end();
    Ok(())
}

/// `uncontended NAME`: every call that nobody else is in the way of, between two lines.
fn uncontended(arguments: &[String]) -> Result {
    let shared = open::<Everything>(arguments)?;
    let everything = shared.get()?;
    let words = Shared::<ipc_testkit::locks::Words>::open(&arguments[1])?;
    let words = words.get()?;
    everything.once.call_once(|_| ())?;
    drop(everything.pair.lock_timeout(WATCHDOG).map_err(LockError::give_up)?);
    say("begin")?;
    for _ in 0..1000 {
        drop(locked(&everything.pair)?);
        drop(everything.pair.try_lock().map_err(LockError::give_up)?);
        drop(everything.pair.lock_timeout(WATCHDOG).map_err(LockError::give_up)?);
        everything.arrived.notify_one()?;
        everything.arrived.notify_all()?;
        everything.once.call_once(|_| ())?;
        words.semaphore.release(2)?;
        words.semaphore.acquire()?;
        words.semaphore.acquire_timeout(WATCHDOG)?;
        words.event.set()?;
        words.event.wait()?;
        words.event.reset();
    }
    say("end")
}
