//! A kernel that refuses: system calls that fail with an errno of our choice (seccomp), privileges that are gone, and file
//! systems that are small or not there. All are for peers only: there is no way back.
#![expect(unsafe_code, reason = "prctl(PR_SET_SECCOMP) takes a pointer to a program")]

use std::io;

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter, sock_fprog};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

/// From now on this system call fails with `errno`, in this thread and those that it starts.
///
/// # Errors
/// EINVAL where the kernel has no seccomp.
pub fn call(number: libc::c_long, errno: i32) -> io::Result<()> {
    install(&[load(0), jump(BPF_JEQ, number, 0, 1), answer(errno), give(libc::SECCOMP_RET_ALLOW)])
}

/// As [`call`], only where argument `index` has one of these bits: a kernel that does not know a flag.
///
/// # Errors
/// As there.
pub fn flag(number: libc::c_long, index: u32, bits: u32, errno: i32) -> io::Result<()> {
    // The low half of an argument comes first on the targets that we have.
    let argument = load(16 + 8 * index);
    install(&[
        load(0),
        jump(BPF_JEQ, number, 0, 3),
        argument,
        jump(BPF_JSET, libc::c_long::from(bits), 0, 1),
        answer(errno),
        give(libc::SECCOMP_RET_ALLOW),
    ])
}

/// Becomes this user and group, without any other: false where we are not root, and hence nobody privileged.
///
/// # Errors
/// EAGAIN, where the user has too many processes.
pub fn become_user(id: u32) -> io::Result<bool> {
    if !Uid::effective().is_root() {
        return Ok(false);
    }
    setgroups(&[])?;
    setgid(Gid::from_raw(id))?;
    setuid(Uid::from_raw(id))?;
    // A process that has changed its user gets no signal at its parent's death any more.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    Ok(true)
}

/// In a mount namespace of our own, an empty tmpfs `at` this directory: one without room (`size=64k`, `nr_inodes=3`), or one
/// over /proc.
///
/// # Errors
/// EPERM where we are not root.
pub fn tmpfs(at: &str, options: &str) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    Ok(mount(Some("none"), at, Some("tmpfs"), MsFlags::empty(), Some(options))?)
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: code(BPF_LD | BPF_W | BPF_ABS), jt: 0, jf: 0, k: offset }
}

fn jump(test: u32, value: libc::c_long, if_so: u8, if_not: u8) -> sock_filter {
    sock_filter {
        code: code(BPF_JMP | test | BPF_K),
        jt: if_so,
        jf: if_not,
        k: u32::try_from(value).unwrap(),
    }
}

fn answer(errno: i32) -> sock_filter {
    give(libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap())
}

fn give(answer: u32) -> sock_filter {
    sock_filter { code: code(BPF_RET | BPF_K), jt: 0, jf: 0, k: answer }
}

fn code(bits: u32) -> u16 {
    u16::try_from(bits).unwrap()
}

fn install(program: &[sock_filter]) -> io::Result<()> {
    let program = sock_fprog {
        len: u16::try_from(program.len()).unwrap(),
        // The kernel only reads it.
        filter: program.as_ptr().cast_mut(),
    };
    nix::sys::prctl::set_no_new_privs()?;
    // SAFETY: `program` describes a live slice of instructions, which the kernel copies.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
