//! Processes that use, die in, and scribble over semaphores and events.
#![expect(unsafe_code, reason = "the scribbler maps memory as no safe call does")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use ipc_testkit::crash;
use ipc_testkit::role::{Result, Role, say};

use ipc_testkit::locks::{Words, attached};

pub(crate) const ROLES: &[Role] = &[
    ("release", release),
    ("acquire", acquire),
    ("wait-permit", wait_permit),
    ("set", set),
    ("wait-event", wait_event),
    ("taker", taker),
    ("scribble", scribble),
];

/// `release NAME`: gives one permit.
fn release(arguments: &[String]) -> Result {
    let shared = attached::<Words>(&arguments[0])?;
    let words = shared.get()?;
    crash::begin();
    words.semaphore.release(1)?;
    crash::end();
    Ok(())
}

/// `acquire NAME`: takes one permit of several.
fn acquire(arguments: &[String]) -> Result {
    let shared = attached::<Words>(&arguments[0])?;
    let words = shared.get()?;
    crash::begin();
    words.semaphore.acquire()?;
    crash::end();
    Ok(())
}

/// `wait-permit NAME`: waits for a permit until it gives up.
fn wait_permit(arguments: &[String]) -> Result {
    let shared = attached::<Words>(&arguments[0])?;
    let words = shared.get()?;
    crash::begin();
    let _ = words.semaphore.acquire_timeout(Duration::from_millis(1));
    crash::end();
    Ok(())
}

/// `set NAME`: sets the event.
fn set(arguments: &[String]) -> Result {
    let shared = attached::<Words>(&arguments[0])?;
    let words = shared.get()?;
    crash::begin();
    words.event.set()?;
    crash::end();
    Ok(())
}

/// `wait-event NAME`: waits for the event until it gives up.
fn wait_event(arguments: &[String]) -> Result {
    let shared = attached::<Words>(&arguments[0])?;
    let words = shared.get()?;
    crash::begin();
    let _ = words.event.wait_timeout(Duration::from_millis(1));
    crash::end();
    Ok(())
}

/// `taker NAME`: takes permits for ever and counts them.
fn taker(arguments: &[String]) -> Result {
    let shared = attached::<Words>(&arguments[0])?;
    let words = shared.get()?;
    say("ready")?;
    loop {
        words.semaphore.acquire()?;
        words.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// `scribble NAME LEN SEED`: writes nonsense over the LEN bytes of the value, bytes and words, for ever.
fn scribble(arguments: &[String]) -> Result {
    let file = File::options().read(true).write(true).open(format!("/dev/shm/{}", arguments[0]))?;
    let len: usize = arguments[1].parse()?;
    // SAFETY: a new mapping at the kernel's choice of address; the page behind the header is in the file.
    let page = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_SHARED, file.as_raw_fd(), 4096)
    };
    if page == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: the page is mapped for ever, and others change it by atomics too.
    let bytes = unsafe { std::slice::from_raw_parts(page.cast::<AtomicU8>(), len) };
    // SAFETY: as above.
    let words = unsafe { std::slice::from_raw_parts(page.cast::<AtomicU64>(), len / 8) };
    let mut random = fastrand::Rng::with_seed(arguments[2].parse()?);
    say("scribbling")?;
    loop {
        match random.u8(..4) {
            0 => bytes[random.usize(..len)]
                .store(random.choice([0, 1, 0x7f, 0x80, 0xff]).unwrap(), Ordering::Relaxed),
            1 => words[random.usize(..words.len())].store(random.u64(..), Ordering::Relaxed),
            2 => words[random.usize(..words.len())].store(random.u64(..8), Ordering::Relaxed),
            _ => words[random.usize(..words.len())].store(u64::MAX - random.u64(..8), Ordering::Relaxed),
        }
    }
}
