//! msgget, msgsnd, msgrcv and msgctl.
#![expect(unsafe_code, reason = "the calls take pointers")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::{By, Permissions, check, selector};

const STAT_ANY: libc::c_int = 13;
const INFO: libc::c_int = 12;

/// MSG_NOERROR: a message that is too long is cut, silently.
pub const NOERROR: libc::c_int = 0o10_000;
/// MSG_EXCEPT: any type but this one.
pub const EXCEPT: libc::c_int = 0o20_000;
/// MSG_COPY: a copy of the message at this place, which stays.
pub const COPY: libc::c_int = 0o40_000;

/// `struct msqid64_ds`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueStatus {
    /// Key, owner, creator, mode.
    pub permissions: Permissions,
    /// The last msgsnd, in seconds, or 0.
    pub sent: i64,
    /// The last msgrcv, in seconds, or 0.
    pub received: i64,
    /// Creation or IPC_SET, whichever was last.
    pub changed: i64,
    /// Bytes of all bodies.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
    /// msg_qbytes.
    pub bytes_max: u64,
    /// Who sent last, or 0.
    pub last_sender: i32,
    /// Who received last, or 0.
    pub last_receiver: i32,
    unused: [u64; 2],
}

/// `struct msginfo`, filled by IPC_INFO (limits) and by MSG_INFO (usage, in three of its fields).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueLimits {
    /// MSG_INFO: queues there are.
    pub queues: i32,
    /// MSG_INFO: messages in all queues.
    pub messages: i32,
    /// MSGMAX: bytes of one body.
    pub message_max: i32,
    /// MSGMNB: the msg_qbytes of a new queue.
    pub bytes_max: i32,
    /// MSGMNI: queues.
    pub queues_max: i32,
    unused_segment: i32,
    /// MSG_INFO: bytes of all bodies.
    pub bytes: i32,
    unused_segments: u16,
}

/// msgget.
///
/// # Errors
/// EACCES, EEXIST, ENOENT, ENOMEM, ENOSPC.
pub fn get(key: i32, flags: libc::c_int) -> io::Result<i32> {
    // SAFETY: two integers, no pointer.
    check(unsafe { libc::syscall(libc::SYS_msgget, key, flags) })
}

/// The bytes of the type before the body in a `struct msgbuf`.
pub const HEADER: usize = size_of::<i64>();

/// Bodies up to this length, the kernel's default msgmax, are sent from the stack.
const ON_STACK: usize = 8192;

/// msgsnd, once: EINTR is the caller's. The kernel wants type and body in one piece; up to 8192 bytes that piece is on
/// the stack, beyond it is allocated.
///
/// # Errors
/// EACCES, EAGAIN, EIDRM, EINTR, EINVAL, ENOMEM.
pub fn send(id: i32, kind: i64, body: &[u8], flags: libc::c_int) -> io::Result<()> {
    if body.len() <= ON_STACK {
        let mut message = [MaybeUninit::<u8>::uninit(); HEADER + ON_STACK];
        return send_from(id, kind, body, flags, &mut message);
    }
    // msgmax is an int: what is longer the kernel refuses in any case.
    if i32::try_from(body.len()).is_err() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut message = Vec::new();
    let len = HEADER + body.len();
    message.try_reserve_exact(len).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    send_from(id, kind, body, flags, message.spare_capacity_mut())
}

/// Puts type and body together at the start of `message` and sends that.
fn send_from(
    id: i32,
    kind: i64,
    body: &[u8],
    flags: libc::c_int,
    message: &mut [MaybeUninit<u8>],
) -> io::Result<()> {
    let (first, rest) = message.split_at_mut(HEADER);
    for (place, byte) in first.iter_mut().zip(kind.to_ne_bytes()) {
        place.write(byte);
    }
    for (place, byte) in rest.iter_mut().zip(body) {
        place.write(*byte);
    }
    // SAFETY: the kernel reads the type and then `body.len()` bytes, all of which the loops above have written: both
    // callers give room for HEADER + body.len() bytes.
    check(unsafe { libc::syscall(libc::SYS_msgsnd, id, message.as_ptr(), body.len(), flags) }).map(drop)
}

/// msgrcv, once: EINTR is the caller's. `buffer` then holds the type in its first eight bytes and the body behind it;
/// the body is at most `max` bytes, for which room is made without writing to it.
///
/// # Errors
/// E2BIG, EACCES, EIDRM, EINTR, EINVAL, ENOMSG; ENOSYS (MSG_COPY, where the kernel lacks it); ENOMEM.
pub fn recv(id: i32, buffer: &mut Vec<u8>, max: usize, selector: i64, flags: libc::c_int) -> io::Result<i64> {
    buffer.clear();
    let room = max.saturating_add(HEADER);
    buffer.try_reserve_exact(room).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    let pointer = buffer.as_mut_ptr();
    // SAFETY: the kernel writes the type and at most `max` bytes of body: the buffer has capacity for HEADER + `max`.
    let len = unsafe { libc::syscall(libc::SYS_msgrcv, id, pointer, max, selector, flags) };
    let len = usize::try_from(len).map_err(|_| crate::errno::last())?;
    // SAFETY: the call succeeded, so the type and `len` bytes of body, at most `max`, are written.
    unsafe { buffer.set_len(HEADER + len) };
    let mut kind = [0; HEADER];
    kind.copy_from_slice(buffer.get(..HEADER).unwrap_or(&[0; HEADER]));
    Ok(i64::from_ne_bytes(kind))
}

/// msgctl IPC_RMID.
///
/// # Errors
/// EIDRM, EINVAL, EPERM.
pub fn remove(id: i32) -> io::Result<()> {
    // SAFETY: IPC_RMID takes no pointer.
    check(unsafe { libc::syscall(libc::SYS_msgctl, id, libc::IPC_RMID, 0_u64) }).map(drop)
}

/// msgctl IPC_STAT or MSG_STAT_ANY: the id, and the status.
///
/// # Errors
/// EACCES (by id), EIDRM, EINVAL.
pub fn status(by: By) -> io::Result<(i32, QueueStatus)> {
    let (number, command) = selector(by, STAT_ANY);
    let mut status = MaybeUninit::<QueueStatus>::uninit();
    // SAFETY: `status` has room for one msqid64_ds, which is what the kernel writes.
    let id = check(unsafe { libc::syscall(libc::SYS_msgctl, number, command, status.as_mut_ptr()) })?;
    // SAFETY: the call returned no error, so it filled every field.
    let status = unsafe { status.assume_init() };
    Ok((by.id(id), status))
}

/// msgctl IPC_SET: owner, mode and msg_qbytes.
///
/// # Errors
/// EIDRM, EINVAL, EPERM.
pub fn set(id: i32, status: &QueueStatus) -> io::Result<()> {
    let status = ptr::from_ref(status);
    // SAFETY: the kernel only reads one live msqid64_ds.
    check(unsafe { libc::syscall(libc::SYS_msgctl, id, libc::IPC_SET, status) }).map(drop)
}

/// msgctl IPC_INFO, and the highest place in use of the kernel's table.
///
/// # Errors
/// None is documented.
pub fn limits() -> io::Result<(i32, QueueLimits)> {
    info(libc::IPC_INFO)
}

/// msgctl MSG_INFO: as [`limits`], with what there is.
///
/// # Errors
/// None is documented.
pub fn usage() -> io::Result<(i32, QueueLimits)> {
    info(INFO)
}

fn info(command: libc::c_int) -> io::Result<(i32, QueueLimits)> {
    let mut limits = QueueLimits::default();
    // SAFETY: `limits` has room for one msginfo.
    let highest = check(unsafe { libc::syscall(libc::SYS_msgctl, 0, command, &raw mut limits) })?;
    Ok((highest, limits))
}
