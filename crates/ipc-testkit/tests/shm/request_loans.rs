//! Questions and answers written where they will be read.

use std::time::Duration;

use ipc_shm::{Error, Sealed, request};

#[test]
fn loans_cross_in_place_and_leave_nothing_when_dropped() {
    let (offer, invitation) = request::Client::<[u64; 40], [u32; 9], Sealed>::offer(16).unwrap();
    let (server, acceptance) = invitation.accept().unwrap();
    let client = offer.complete(acceptance).unwrap();
    for round in 0..100_u64 {
        let mut question = client.loan().unwrap();
        question.fill(round);
        // It has the place: nothing else is asked meanwhile, and nobody waits for what cannot come.
        assert!(matches!(client.loan().map(drop), Err(Error::Full)));
        assert!(matches!(client.call(&[0; 40]), Err(Error::Full)));
        assert!(matches!(client.try_send(&[0; 40]).map(drop), Err(Error::Full)));
        assert!(matches!(server.try_recv().map(drop), Err(Error::Empty)), "not asked yet");
        if round % 3 == 0 {
            drop(question);
            assert!(matches!(server.try_recv().map(drop), Err(Error::Empty)));
            question = client.try_loan().unwrap();
            question.fill(round);
        }
        let call = question.send().unwrap();
        let request = server.recv().unwrap();
        assert_eq!(*request.question(), [round; 40]);
        let mut answer = request.loan().unwrap();
        assert_eq!(answer.question()[7], round);
        answer.fill(u32::try_from(round).unwrap() + 1);
        if round % 5 == 0 {
            drop(answer);
            assert!(matches!(call.recv(), Err(Error::Unanswered)));
        } else {
            answer.commit().unwrap();
            assert_eq!(call.recv().unwrap(), [u32::try_from(round).unwrap() + 1; 9]);
        }
    }
    // A question that is being written while others of other clients are answered, and one whose time is over.
    let late = client.loan().unwrap().send_timeout(Duration::ZERO).unwrap();
    assert!(matches!(server.try_recv().map(drop), Err(Error::Empty)));
    assert!(matches!(late.recv(), Err(Error::TimedOut)));
    let mut calls: Vec<_> = (0..16).map(|_| client.loan().unwrap().send().unwrap()).collect();
    assert!(matches!(client.try_loan().map(drop), Err(Error::Full)));
    drop(server.recv().unwrap().loan().unwrap());
    assert!(matches!(calls.remove(0).recv(), Err(Error::Unanswered)));
    drop(client.try_loan().unwrap());
    drop(server);
    // There is a place by what the server wrote last.
    let asked = client.loan().unwrap().send().unwrap();
    assert!(matches!(asked.recv(), Err(Error::Disconnected)));
}
