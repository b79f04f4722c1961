//! shmget, shmat, shmdt and shmctl.
#![expect(unsafe_code, reason = "the calls take and give pointers")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use super::{By, Permissions, check, selector};
use crate::errno;

const STAT_ANY: libc::c_int = 15;
const INFO: libc::c_int = 14;

/// In the mode of a status: removed, and destroyed with the last detach.
pub const DEST: u32 = 0o1_000;
/// In the mode of a status: its pages cannot be swapped out.
pub const LOCKED: u32 = 0o2_000;

/// `struct shmid64_ds`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct SegmentStatus {
    /// Key, owner, creator, mode.
    pub permissions: Permissions,
    /// Bytes that were asked for at creation.
    pub len: u64,
    /// The last shmat, in seconds, or 0.
    pub attached_at: i64,
    /// The last shmdt, in seconds, or 0.
    pub detached_at: i64,
    /// Creation or IPC_SET, whichever was last.
    pub changed: i64,
    /// Who created it.
    pub creator: i32,
    /// Who attached or detached last, or 0.
    pub last_operator: i32,
    /// shm_nattch.
    pub attached: u64,
    unused: [u64; 2],
}

/// `struct shminfo64`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct SegmentLimits {
    /// SHMMAX: bytes of one segment.
    pub len_max: u64,
    /// SHMMIN.
    pub len_min: u64,
    /// SHMMNI: segments.
    pub segments_max: u64,
    unused_per_process: u64,
    /// SHMALL: pages of all segments.
    pub pages_max: u64,
    unused: [u64; 4],
}

/// `struct shm_info`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct SegmentUsage {
    /// Segments there are.
    pub segments: i32,
    /// Pages of all segments.
    pub pages: u64,
    /// Of these, in memory.
    pub pages_resident: u64,
    /// Of these, in swap.
    pub pages_swapped: u64,
    unused: [u64; 2],
}

/// shmget.
///
/// # Errors
/// EACCES, EEXIST, EINVAL, ENFILE, ENOENT, ENOMEM, ENOSPC, EPERM.
pub fn get(key: i32, len: usize, flags: libc::c_int) -> io::Result<i32> {
    // SAFETY: three integers, no pointer.
    check(unsafe { libc::syscall(libc::SYS_shmget, key, len, flags) })
}

/// shmat without SHM_REMAP and SHM_EXEC: at `near`, rounded down to a multiple of SHMLBA, or where the kernel likes.
/// Nothing that is mapped already is replaced, and nothing is mapped where null pointers lead.
///
/// # Errors
/// EACCES, EIDRM, EINVAL (also when something is mapped there, or it would be the null page), ENOMEM.
pub fn attach(id: i32, near: Option<NonNull<u8>>, read_only: bool) -> io::Result<NonNull<u8>> {
    /// A page of any kernel that we support, and the default of vm.mmap_min_addr, which root need not respect.
    const LOWEST: usize = 65536;
    if near.is_some_and(|near| near.addr().get() < LOWEST) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let address = near.map_or(ptr::null_mut(), NonNull::as_ptr);
    let mut flags = if near.is_some() { libc::SHM_RND } else { 0 };
    if read_only {
        flags |= libc::SHM_RDONLY;
    }
    // SAFETY: without SHM_REMAP the kernel maps free address space only, so no memory that Rust knows changes.
    let address = unsafe { libc::syscall(libc::SYS_shmat, id, address, flags) };
    if address == -1 {
        return Err(errno::last());
    }
    let address = usize::try_from(address).ok().map(ptr::with_exposed_provenance_mut::<u8>);
    address.and_then(NonNull::new).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
}

/// shmdt.
///
/// # Safety
/// `address` is what [`attach`] returned, nobody has detached it since, and nobody uses the memory any more.
///
/// # Errors
/// EINVAL: nothing is attached there.
pub unsafe fn detach(address: NonNull<u8>) -> io::Result<()> {
    // SAFETY: the caller's contract.
    check(unsafe { libc::syscall(libc::SYS_shmdt, address.as_ptr()) }).map(drop)
}

/// shmctl IPC_RMID.
///
/// # Errors
/// EIDRM, EINVAL, EPERM.
pub fn remove(id: i32) -> io::Result<()> {
    control(id, libc::IPC_RMID)
}

/// shmctl SHM_LOCK.
///
/// # Errors
/// EIDRM, EINVAL, ENOMEM, EPERM.
pub fn lock(id: i32) -> io::Result<()> {
    control(id, libc::SHM_LOCK)
}

/// shmctl SHM_UNLOCK.
///
/// # Errors
/// EIDRM, EINVAL, EPERM.
pub fn unlock(id: i32) -> io::Result<()> {
    control(id, libc::SHM_UNLOCK)
}

fn control(id: i32, command: libc::c_int) -> io::Result<()> {
    // SAFETY: none of the three commands takes a pointer.
    check(unsafe { libc::syscall(libc::SYS_shmctl, id, command, 0_u64) }).map(drop)
}

/// shmctl IPC_STAT or SHM_STAT_ANY: the id, and the status.
///
/// # Errors
/// EACCES (by id), EIDRM, EINVAL.
pub fn status(by: By) -> io::Result<(i32, SegmentStatus)> {
    let (number, command) = selector(by, STAT_ANY);
    let mut status = MaybeUninit::<SegmentStatus>::uninit();
    // SAFETY: `status` has room for one shmid64_ds, which is what the kernel writes.
    let id = check(unsafe { libc::syscall(libc::SYS_shmctl, number, command, status.as_mut_ptr()) })?;
    // SAFETY: the call returned no error, so it filled every field.
    let status = unsafe { status.assume_init() };
    Ok((by.id(id), status))
}

/// shmctl IPC_SET: owner and mode.
///
/// # Errors
/// EIDRM, EINVAL, EPERM.
pub fn set_permissions(id: i32, status: &SegmentStatus) -> io::Result<()> {
    let status = ptr::from_ref(status);
    // SAFETY: the kernel only reads one live shmid64_ds.
    check(unsafe { libc::syscall(libc::SYS_shmctl, id, libc::IPC_SET, status) }).map(drop)
}

/// shmctl IPC_INFO, and the highest place in use of the kernel's table.
///
/// # Errors
/// None is documented.
pub fn limits() -> io::Result<(i32, SegmentLimits)> {
    let mut limits = SegmentLimits::default();
    // SAFETY: `limits` has room for one shminfo64.
    let highest = check(unsafe { libc::syscall(libc::SYS_shmctl, 0, libc::IPC_INFO, &raw mut limits) })?;
    Ok((highest, limits))
}

/// shmctl SHM_INFO.
///
/// # Errors
/// None is documented.
pub fn usage() -> io::Result<(i32, SegmentUsage)> {
    let mut usage = SegmentUsage::default();
    // SAFETY: `usage` has room for one shm_info.
    let highest = check(unsafe { libc::syscall(libc::SYS_shmctl, 0, INFO, &raw mut usage) })?;
    Ok((highest, usage))
}
