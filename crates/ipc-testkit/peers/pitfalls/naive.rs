//! What the tutorials do, call by call.
#![expect(unsafe_code, reason = "the raw calls of the tutorials")]

use std::ffi::CString;
use std::ptr;

use ipc_sys::errno;
use ipc_testkit::role::{self, say};

/// `naive-kill TEXT`: `kill(atoi(text), SIGTERM)`.
pub(crate) fn kill(arguments: &[String]) -> role::Result {
    let text = CString::new(arguments[0].as_str())?;
    // SAFETY: the text ends in NUL and is alive during the call.
    let pid = unsafe { libc::atoi(text.as_ptr()) };
    // SAFETY: kill has no precondition.
    errno::check(unsafe { libc::kill(pid, libc::SIGTERM) })?;
    say("survived")
}

/// `naive-catch NUMBER`: `signal(number, handler)`, whose result the tutorial does not look at.
pub(crate) fn catch(arguments: &[String]) -> role::Result {
    extern "C" fn handler(_: libc::c_int) {}
    let handler: extern "C" fn(libc::c_int) = handler;
    // SAFETY: the handler does nothing.
    let former = unsafe { libc::signal(arguments[0].parse()?, handler as libc::sighandler_t) };
    say(if former == libc::SIG_ERR { "SIG_ERR" } else { "caught" })
}

/// `naive-queue PATH PROJECT`: `msgget(ftok(path, project), IPC_CREAT | 0600)`.
pub(crate) fn queue(arguments: &[String]) -> role::Result {
    let path = CString::new(arguments[0].as_str())?;
    // SAFETY: the path ends in NUL and is alive during the call.
    let key = errno::check(unsafe { libc::ftok(path.as_ptr(), arguments[1].parse()?) })?;
    // SAFETY: msgget has no precondition.
    say(errno::check(unsafe { libc::msgget(key, libc::IPC_CREAT | 0o600) })?)
}

/// `naive-fill ID`: writes letters at the attached address, and on, and on.
pub(crate) fn fill(arguments: &[String]) -> role::Result {
    // SAFETY: attaching at an address of the kernel's choice touches no memory of ours.
    let start = unsafe { libc::shmat(arguments[0].parse()?, ptr::null(), 0) }.cast::<u8>();
    for at in 0.. {
        // SAFETY: none. That is the mistake: this process is started to die of it.
        let place = unsafe { start.add(at) };
        // SAFETY: as above.
        unsafe { place.write_volatile(b'A') };
    }
    Ok(())
}
