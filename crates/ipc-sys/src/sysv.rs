//! System V IPC as the kernel speaks it: the structures and commands of its own headers, by system call.
//!
//! The libcs differ in their structures (and libc the crate has only some of them: no `semtimedop`, no `SHM_STAT`, no
//! `struct shm_info`), and glibc's wrapper of `SEM_STAT_ANY` was broken until 2.32. The kernel's `ipc64_perm`,
//! `semid64_ds`, `msqid64_ds` and `shmid64_ds` (asm/ipcbuf.h, asm/sembuf.h, asm/msgbuf.h, asm/shmbuf.h) are the same for
//! every libc, so nothing is guessed: the only difference between our two architectures is the padding of
//! `semid64_ds`. The tests compare each size and offset with what the C compiler says of those headers.
#![expect(unsafe_code, reason = "geteuid is a C call")]

pub mod lock;
pub mod queue;
pub mod segment;
pub mod semaphore;

use std::io;
use std::num::NonZeroU32;

/// `IPC_PRIVATE`: no key, hence always a new object.
pub const PRIVATE: i32 = libc::IPC_PRIVATE;

/// `struct ipc64_perm`: what every System V object has.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Permissions {
    /// The key, or `IPC_PRIVATE`, which a removed segment's key becomes as well.
    pub key: i32,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Creator.
    pub creator_uid: u32,
    /// Creator's group.
    pub creator_gid: u32,
    /// The nine permission bits, and `SHM_DEST`, `SHM_LOCKED` of a segment.
    pub mode: u32,
    /// The sequence number, which is part of the id as well.
    pub sequence: u16,
    padding: u16,
    unused: [u64; 2],
}

/// How an object is looked up for its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// `IPC_STAT` of an id; wants read permission.
    Id(i32),
    /// `*_STAT_ANY` of a place in the kernel's table; wants none. Since Linux 4.17.
    Index(i32),
}

impl By {
    /// The id, of which IPC_STAT returns nothing and `*_STAT_ANY` returns it.
    fn id(self, returned: i32) -> i32 {
        match self {
            Self::Id(id) => id,
            Self::Index(_) => returned,
        }
    }
}

/// The arguments of `SYS_*ctl` that select by id or by index.
fn selector(by: By, any: libc::c_int) -> (i32, libc::c_int) {
    match by {
        By::Id(id) => (id, libc::IPC_STAT),
        By::Index(index) => (index, any),
    }
}

/// geteuid: as whom the permissions of an object are checked.
#[must_use]
pub fn effective_uid() -> u32 {
    // SAFETY: no arguments, always succeeds.
    unsafe { libc::geteuid() }
}

/// Whether there is a process with this pid in our pid namespace. A pid may have been given again: false is for certain,
/// true is not.
#[must_use]
pub fn process_exists(pid: NonZeroU32) -> bool {
    let pid = i32::try_from(pid.get()).unwrap_or(i32::MAX);
    !crate::process::pidfd_open(pid).is_err_and(|error| crate::errno::is(&error, libc::ESRCH))
}

/// The result of `libc::syscall` where it fits an int.
fn check(result: libc::c_long) -> io::Result<i32> {
    crate::errno::check(libc::c_int::try_from(result).unwrap_or(libc::c_int::MAX))
}

#[cfg(test)]
mod tests {
    use super::queue::QueueStatus;
    use super::segment::{SegmentLimits, SegmentStatus, SegmentUsage};
    use super::semaphore::{SemaphoreLimits, SemaphoreStatus};
    use super::*;
    use std::mem::{offset_of, size_of};
    use std::process::Command;

    /// Each structure, C name and field, its size and offset as Rust lays it out, against the C compiler's word.
    #[test]
    fn every_structure_is_the_kernels() {
        let expected = [
            ("sizeof(struct ipc64_perm)", size_of::<Permissions>()),
            ("offsetof(struct ipc64_perm, mode)", offset_of!(Permissions, mode)),
            ("offsetof(struct ipc64_perm, seq)", offset_of!(Permissions, sequence)),
            ("offsetof(struct ipc64_perm, cgid)", offset_of!(Permissions, creator_gid)),
            ("sizeof(struct semid64_ds)", size_of::<SemaphoreStatus>()),
            ("offsetof(struct semid64_ds, sem_otime)", offset_of!(SemaphoreStatus, operated)),
            ("offsetof(struct semid64_ds, sem_ctime)", offset_of!(SemaphoreStatus, changed)),
            ("offsetof(struct semid64_ds, sem_nsems)", offset_of!(SemaphoreStatus, len)),
            ("sizeof(struct seminfo)", size_of::<SemaphoreLimits>()),
            ("offsetof(struct seminfo, semvmx)", offset_of!(SemaphoreLimits, value_max)),
            ("sizeof(struct msqid64_ds)", size_of::<QueueStatus>()),
            ("offsetof(struct msqid64_ds, msg_ctime)", offset_of!(QueueStatus, changed)),
            ("offsetof(struct msqid64_ds, msg_qbytes)", offset_of!(QueueStatus, bytes_max)),
            ("offsetof(struct msqid64_ds, msg_lrpid)", offset_of!(QueueStatus, last_receiver)),
            ("sizeof(struct shmid64_ds)", size_of::<SegmentStatus>()),
            ("offsetof(struct shmid64_ds, shm_segsz)", offset_of!(SegmentStatus, len)),
            ("offsetof(struct shmid64_ds, shm_cpid)", offset_of!(SegmentStatus, creator)),
            ("offsetof(struct shmid64_ds, shm_nattch)", offset_of!(SegmentStatus, attached)),
            ("sizeof(struct shminfo64)", size_of::<SegmentLimits>()),
            ("offsetof(struct shminfo64, shmall)", offset_of!(SegmentLimits, pages_max)),
            ("sizeof(struct shm_info)", size_of::<SegmentUsage>()),
            ("offsetof(struct shm_info, shm_swp)", offset_of!(SegmentUsage, pages_swapped)),
        ];
        let mut source = String::from(
            "#include <stddef.h>\n#include <linux/types.h>\n#include <linux/posix_types.h>\n#include <asm/ipcbuf.h>\n\
             #include <linux/sem.h>\n#include <linux/msg.h>\n#include <linux/shm.h>\n",
        );
        for (expression, value) in expected {
            source += &format!("_Static_assert({expression} == {value}, \"{expression}\");\n");
        }
        let path = std::env::temp_dir().join(format!("ipc-sys-{}-layout.c", std::process::id()));
        std::fs::write(&path, source).unwrap();
        let done = Command::new("cc").args(["-fsyntax-only", "-std=c11"]).arg(&path).output();
        std::fs::remove_file(&path).unwrap();
        match done {
            Ok(done) => assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr)),
            Err(error) => println!("SKIP every_structure_is_the_kernels: no C compiler: {error}"),
        }
    }
}
