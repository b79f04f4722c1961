//! One call is one system call: counted.

use ipc_testkit::{calls, command, proof};

#[test]
fn each_call_is_one_system_call() {
    let (semop, semctl) = (libc::SYS_semtimedop, libc::SYS_semctl);
    let (send, receive) = (libc::SYS_msgsnd, libc::SYS_msgrcv);
    let expected = [
        [semop, semop, semop, semop, semop].as_slice(),
        &[semctl, semctl, semctl, semctl],
        &[send, send, receive, receive, receive],
    ]
    .concat();
    assert_eq!(calls::between_marks(&mut command!("peer-sysv", "hot")), expected);
    proof!("cost", "{} calls, {} system calls, no other among them", expected.len(), expected.len());
}
