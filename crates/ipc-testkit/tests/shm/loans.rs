//! Loans and borrows that give up in time.
#![expect(unsafe_code, reason = "loans want a channel that is vouched for")]

use std::time::{Duration, Instant};

use ipc_shm::{Error, broadcast::lossless, bytes, mpmc, mpsc, request, spsc};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(3600);

/// That this waited for its time, and for no more than a loaded machine makes of it.
fn times_out<T>(what: impl FnOnce() -> ipc_shm::Result<T>) {
    let start = Instant::now();
    assert!(matches!(what().map(drop), Err(Error::TimedOut)));
    assert!((SHORT..Duration::from_secs(20)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn a_loan_and_a_borrow_give_up_in_time() {
    let (sender, receiver) = spsc::channel::<u64>(16).unwrap();
    // SAFETY: nobody else can open this memory.
    let mut sender = unsafe { sender.attach().unwrap().trust() };
    // SAFETY: as above.
    let mut receiver = unsafe { receiver.attach().unwrap().trust() };
    times_out(|| receiver.borrow_timeout(SHORT));
    while sender.try_send(&7).is_ok() {}
    times_out(|| sender.loan_timeout(SHORT));
    assert_eq!(*receiver.borrow_timeout(LONG).unwrap(), 7);
    receiver.release().unwrap();
    sender.loan_timeout(LONG).unwrap().commit();

    let (sender, receiver) = bytes::channel(1024).unwrap();
    // SAFETY: as above.
    let mut sender = unsafe { sender.attach().unwrap().trust() };
    // SAFETY: as above.
    let mut receiver = unsafe { receiver.attach().unwrap().trust() };
    times_out(|| receiver.borrow_timeout(SHORT));
    while sender.try_send(b"seven").is_ok() {}
    times_out(|| sender.loan_timeout(5, SHORT));
    assert_eq!(*receiver.borrow_timeout(LONG).unwrap(), *b"seven");
    receiver.release().unwrap();
    sender.loan_timeout(5, LONG).unwrap().commit();

    let mut receiver = mpsc::Receiver::new();
    let (sender, lane) = spsc::channel::<u64>(16).unwrap();
    // SAFETY: as above.
    receiver.admit(unsafe { lane.attach().unwrap().trust() }).unwrap();
    let mut sender = sender.attach().unwrap();
    times_out(|| receiver.borrow_timeout(SHORT));
    sender.send(&7).unwrap();
    assert_eq!(*receiver.borrow_timeout(LONG).unwrap(), 7);

    let sender = mpmc::Sender::<u64>::anonymous(16).unwrap();
    let receiver = mpmc::Receiver::<u64>::from_fd(sender.share().unwrap()).unwrap();
    // SAFETY: as above.
    let mut sender = unsafe { sender.trust() };
    // SAFETY: as above.
    let mut receiver = unsafe { receiver.trust() };
    times_out(|| receiver.borrow_timeout(SHORT));
    while sender.try_send(&7).is_ok() {}
    times_out(|| sender.loan_timeout(SHORT));
    receiver.borrow_timeout(LONG).unwrap().done().unwrap();
    sender.loan_timeout(LONG).unwrap().commit().unwrap();

    let mut writer = lossless::Writer::<u64>::anonymous(16).unwrap();
    let reader = lossless::Reader::<u64>::from_fd(writer.share().unwrap()).unwrap();
    // SAFETY: as above.
    let mut reader = unsafe { reader.trust() };
    times_out(|| reader.borrow_timeout(SHORT));
    writer.write(&7).unwrap();
    assert_eq!(*reader.borrow_timeout(LONG).unwrap(), 7);
}

#[test]
fn a_loaned_question_gives_up_in_time() {
    let (client, server) = request::channel::<u64, u64>(16).unwrap();
    // SAFETY: nobody else can open this memory.
    let client = unsafe { client.attach().unwrap().trust() };
    let server = server.attach().unwrap();
    // Asked and given up: the places are the server's until it has passed them over.
    while client.try_send(&7).map(drop).is_ok() {}
    times_out(|| client.loan_timeout(SHORT));
    assert!(matches!(server.try_recv().map(drop), Err(Error::Empty)));
    let mut question = client.loan_timeout(LONG).unwrap();
    *question = 7;
    let call = question.send().unwrap();
    server.recv().unwrap().answer(&8).unwrap();
    assert_eq!(call.recv().unwrap(), 8);
}
