//! Row C6: signals all the time.

use ipc_sysv::{MessageBuffer, MessageQueue, MessageType, RemoveOnDrop, Select};
use ipc_testkit::{peer, proof, repetitions};

#[test]
fn c6_a_storm_of_signals_loses_and_doubles_nothing() {
    let new = || RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap());
    let (queue, answers) = (new(), new());
    let count = repetitions(2000, 200_000) as u64;
    let mut peer = peer!("peer-sysv", "storm", queue.id(), answers.id(), count);
    let mut buffer = MessageBuffer::new();
    for number in 0..count {
        if number % 100 == 0 {
            // Let it wait, so that the signals meet it in the call.
            peer.until_asleep_in(libc::SYS_msgrcv);
        }
        queue.send(MessageType::ONE, &number.to_ne_bytes()).unwrap();
        let answer = answers.recv(Select::Any, &mut buffer).unwrap();
        assert_eq!(answer.value::<u64>().unwrap(), number);
    }
    peer.expect("true");
    peer.finish();
    proof!(
        "C6",
        "{count} messages there and back under 10,000 signals a second, none lost, none twice; naive twin (EINTR is the end) ended"
    );
}
