//! Many senders, many receivers, one queue.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ipc_shm::{ChannelOptions, Error, MemoryOptions, Refusal, Select, Wait, mpmc, spsc};
use ipc_testkit::{WATCHDOG, name, peer, proof, repetitions_or_long, report};

use crate::corrupt::scribbled;
use crate::memory::Name;

pub(crate) type Sender = mpmc::Sender<u64>;
pub(crate) type Receiver = mpmc::Receiver<u64>;

#[test]
fn f10_a_crowd_of_senders_and_receivers_loses_and_doubles_nothing() {
    let count = repetitions_or_long(5_000, 50_000, 500_000) as u64;
    for wait in ["park", "default", "spin"] {
        let named = Name::new("crowd");
        let mut ours = Receiver::create(&named.0, 64).unwrap();
        let mut receivers: Vec<_> =
            (0..2).map(|number| peer!("peer-shm", "mpmc-receiver", named.0, wait, 1 + 4 * number)).collect();
        receivers.iter_mut().for_each(|receiver| receiver.expect("ready"));
        // One that is quick must not be the last one before another has come.
        let until_all_came = Sender::open(&named.0).unwrap();
        let mut senders: Vec<_> = (0..3)
            .map(|number| peer!("peer-shm", "mpmc-sender", named.0, number, count, wait, 1 + 10 * number))
            .collect();
        senders.iter_mut().for_each(|sender| sender.expect("ready"));
        drop(until_all_came);
        let (mut got, mut sum) = (0, 0_u64);
        let mut next = [0; 3];
        loop {
            match ours.recv() {
                Ok(message) => {
                    let of = usize::try_from(message >> 32).unwrap();
                    assert!(message & 0xffff_ffff >= next[of], "out of order");
                    next[of] = (message & 0xffff_ffff) + 1;
                    (got, sum) = (got + 1, sum.wrapping_add(message));
                }
                Err(Error::Disconnected) => break,
                Err(error) => panic!("{error}"),
            }
        }
        for mut receiver in receivers {
            let line = receiver.hear();
            let mut words = line.split(' ');
            got += words.next().unwrap().parse::<u64>().unwrap();
            sum = sum.wrapping_add(words.next().unwrap().parse().unwrap());
            assert_eq!(words.next(), Some("true"), "out of order");
            receiver.finish();
        }
        let all = (0..3_u64).flat_map(|number| (0..count).map(move |message| number << 32 | message));
        assert_eq!((got, sum), (3 * count, all.fold(0, u64::wrapping_add)));
        senders.into_iter().for_each(ipc_testkit::Peer::finish);
    }
    proof!(
        "F10",
        "mpmc: 3 x {count} messages of three senders to three receivers, some in batches, 0 lost, doubled or out of order"
    );
}

#[test]
fn all_of_one_side_gone_is_told_to_the_other() {
    let named = Name::new("mpmc-gone");
    let mut receiver = Receiver::create(&named.0, 16).unwrap();
    // Nobody has come yet: that is not gone.
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(150)), Err(Error::TimedOut)));
    let mut first = peer!("peer-shm", "mpmc-sender", named.0, 0, 3, "park", 1);
    first.expect("ready");
    let mut second = peer!("peer-shm", "mpmc-sender", named.0, 1, 1_u64 << 31, "park", 7);
    second.expect("ready");
    // The second may have filled the queue before the first one's third message was in.
    while receiver.recv().unwrap() != 2 {}
    first.finish();
    for _ in 0..100 {
        receiver.recv().unwrap();
    }
    second.kill();
    while receiver.recv().is_ok() {}
    assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
    assert!(matches!(receiver.try_recv(), Err(Error::Disconnected)));
    // A new sender: all is well again.
    let mut sender = Sender::open(&named.0).unwrap();
    sender.send(&5).unwrap();
    assert_eq!(receiver.recv().unwrap(), 5);
    receiver.persist();
    drop(receiver);
    for message in 0..16 {
        sender.send(&message).unwrap();
    }
    assert_eq!(sender.capacity(), 16);
    assert!(matches!(sender.send(&16), Err(Error::Disconnected)));
    assert!(matches!(sender.send_timeout(&16, Duration::ZERO), Err(Error::Disconnected | Error::TimedOut)));
    assert!(matches!(sender.try_send(&16), Err(Error::Disconnected)));
}

#[test]
fn who_leaves_is_told_of_at_once_and_not_at_the_next_look() {
    // Both in their own process, where the time of a look counts from the start of the wait.
    let rounds = repetitions_or_long(20, 100, 300);
    let (mut told, mut killed) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    // The control: a death is found at the next look, 60 ms from the start of the wait, and no earlier.
    let at_once =
        |told: &[u64], killed: &[u64]| 2 * told.iter().min().unwrap() < *killed.iter().min().unwrap();
    for round in 0.. {
        // The best of them counts; a machine that has had none yet has more tries.
        if round >= rounds && (at_once(&told, &killed) || begin.elapsed() > WATCHDOG) {
            break;
        }
        for dies in [false, true] {
            let named = Name::new("mpmc-leaves");
            let (senders, receivers) = (round % 2 == 0, round % 2 != 0);
            let mut waiting = peer!("peer-shm", "mpmc-waits", named.0, if senders { "recv" } else { "send" });
            waiting.expect("ready");
            let role = if receivers { "mpmc-receives-one" } else { "mpmc-sends-one" };
            let mut other = peer!("peer-shm", role, named.0);
            other.expect("there");
            waiting.tell("wait");
            waiting.until_asleep_in(libc::SYS_futex);
            if dies {
                other.kill();
            } else {
                other.tell("go");
            }
            waiting.expect("Disconnected");
            let waited: u64 = waiting.hear().parse().unwrap();
            if dies { &mut killed } else { &mut told }.push(waited);
            waiting.finish();
        }
    }
    assert!(at_once(&told, &killed), "{told:?} {killed:?}");
    proof!(
        "F9",
        "mpmc: the last one's leave told within {:?} µs at best in {} rounds; a kill, as without it, {:?} µs",
        told.iter().min(),
        told.len(),
        killed.iter().min()
    );
}

#[test]
fn stat_counts_who_is_there_and_what_became_of_the_others() {
    use ipc_shm::Presence::{Absent, Alive, Dead, Left};
    let named = Name::new("mpmc-counts");
    let mut sender = Sender::create(&named.0, 16).unwrap();
    let look = || {
        let stat = ipc_shm::stat(&named.0).unwrap();
        (stat.sender.presence, stat.sender.count, stat.receiver.presence, stat.receiver.count)
    };
    assert_eq!(look(), (Alive, Some(1), Absent, Some(0)));
    let second = Sender::open(&named.0).unwrap();
    let receiver = Receiver::open(&named.0).unwrap();
    sender.send(&1).unwrap();
    assert_eq!(look(), (Alive, Some(2), Alive, Some(1)));
    let stat = second.stat().unwrap();
    assert_eq!((stat.sender.count, stat.receiver.count, stat.lag()), (Some(2), Some(1), Some(1)));
    assert_eq!(receiver.stat().unwrap(), ipc_shm::stat(&named.0).unwrap());
    drop((second, receiver));
    assert_eq!(look(), (Alive, Some(1), Left, Some(0)));
    let mut holder = peer!("peer-shm", "mpmc-holder", named.0);
    holder.expect("1");
    assert_eq!(look(), (Alive, Some(1), Alive, Some(1)));
    holder.kill();
    assert_eq!(look(), (Alive, Some(1), Dead, Some(0)));
    // A place is taken again: its holder is there.
    let _receiver = Receiver::open(&named.0).unwrap();
    assert_eq!(look(), (Alive, Some(1), Alive, Some(1)));
}

#[test]
fn f12_positions_wrap_at_2_56_as_a_queue_would() {
    fn check<T: ipc_shm::Payload + Clone + PartialEq + std::fmt::Debug>(make: fn(u64) -> T, seed: u64) {
        for start in [0, (1 << 32) - 40, (1 << 56) - 40, (1 << 56) - 15, u64::MAX - 40] {
            let options = ChannelOptions::new(16).start(start);
            let first = mpmc::Sender::<T>::anonymous(options).unwrap();
            let second = mpmc::Sender::<T>::from_fd(first.share().unwrap()).unwrap();
            let receiver = || mpmc::Receiver::<T>::from_fd(first.share().unwrap()).unwrap();
            let mut receivers = [receiver(), receiver()];
            let mut senders = [first, second];
            assert_eq!((senders[0].capacity(), receivers[1].capacity()), (16, 16));
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut model, mut next) = (VecDeque::new(), 0);
            for _ in 0..repetitions_or_long(20_000, 200_000, 1_000_000) {
                let who = random.usize(0..2);
                if random.u8(0..8) == 0 {
                    let batch: Vec<T> = (next..next + random.u64(0..20)).map(make).collect();
                    let sent = match senders[who].try_send_batch(&batch) {
                        Err(Error::Full) => 0,
                        sent => sent.unwrap(),
                    };
                    assert_eq!(sent, batch.len().min(16 - model.len()));
                    model.extend(batch[..sent].iter().cloned());
                    next += sent as u64;
                } else if random.u8(0..8) == 0 {
                    let mut buffer = vec![make(7); random.usize(0..20)];
                    let received = match receivers[who].try_recv_batch(&mut buffer) {
                        Err(Error::Empty) => 0,
                        received => received.unwrap(),
                    };
                    assert_eq!(received, buffer.len().min(model.len()));
                    assert!(model.drain(..received).eq(buffer.drain(..received)));
                } else if random.bool() {
                    match senders[who].try_send(&make(next)) {
                        Ok(()) => {
                            model.push_back(make(next));
                            next += 1;
                        }
                        Err(Error::Full) => assert_eq!(model.len(), 16),
                        Err(error) => panic!("{error}"),
                    }
                } else {
                    let received = if random.bool() {
                        receivers[who].try_recv()
                    } else {
                        receivers[who].try_hold().and_then(|held| {
                            let message = held.message().clone();
                            held.done().map(|()| message)
                        })
                    };
                    match received {
                        Ok(message) => assert_eq!(Some(message), model.pop_front()),
                        Err(Error::Empty) => assert!(model.is_empty()),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            assert!(next > 1000);
        }
    }
    let seed = report::seed();
    check::<u64>(|turn| turn, seed);
    check::<[u8; 3]>(|turn| [turn.to_le_bytes()[0], turn.to_le_bytes()[1], 7], seed);
    check::<[u32; 17]>(|turn| [u32::try_from(turn).unwrap(); 17], seed);
    proof!("F12", "mpmc: 5 starts x 3 types against a VecDeque, 0 differences; seed {seed}");
}

#[test]
fn f5_another_type_kind_or_tag_is_refused_and_places_run_out() {
    let reason = |error: Error| match error {
        Error::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let named = Name::new("mpmc-refuse");
    let sender = Sender::create(&named.0, ChannelOptions::new(16).tag("ours")).unwrap();
    let ours = MemoryOptions::new().tag("ours");
    assert!(matches!(reason(Receiver::open(&named.0).unwrap_err()), Refusal::Tag { .. }));
    assert_eq!(reason(mpmc::Receiver::<u32>::open_with(&named.0, &ours).unwrap_err()), Refusal::Type);
    assert!(matches!(reason(spsc::Receiver::<u64>::open(&named.0).unwrap_err()), Refusal::Kind { .. }));
    assert!(matches!(Sender::create(&named.0, 16), Err(Error::Exists { .. })));
    for capacity in [0, 1, 8, 15, 17, 1000, usize::MAX, 1 << 63] {
        assert!(matches!(Sender::anonymous(capacity), Err(Error::InvalidParameter { .. })), "{capacity}");
    }
    let tagged = Sender::anonymous(ChannelOptions::new(16).tag("ours")).unwrap();
    assert!(matches!(reason(Receiver::from_fd(tagged.share().unwrap()).unwrap_err()), Refusal::Tag { .. }));
    Receiver::from_fd_with(tagged.share().unwrap(), &ours).unwrap();
    let pollable = ChannelOptions::new(16).pollable();
    assert!(matches!(Sender::anonymous(pollable), Err(Error::InvalidParameter { .. })));
    let mut unpolled = Receiver::open_with(&named.0, &ours).unwrap();
    unpolled.set_wait(Wait::Poll);
    assert!(matches!(unpolled.recv(), Err(Error::NoSocket)));
    let others: Vec<_> = (1..127).map(|_| Sender::open_with(&named.0, &ours).unwrap()).collect();
    assert!(matches!(Sender::open_with(&named.0, &ours), Err(Error::EndInUse { .. })));
    drop(others);
    let stat = ipc_shm::stat(&named.0).unwrap();
    assert_eq!((stat.kind, stat.lag()), ("mpmc", Some(0)));
    drop(sender);
    assert!(matches!(Receiver::open(&named.0), Err(Error::NotFound { .. })));
    let (_, origin) = Sender::open_or_replace(&named.0, 16).unwrap();
    assert_eq!(origin, ipc_shm::Origin::Created);
}

#[test]
fn a_select_over_an_idle_queue_names_nobody() {
    let mut receiver = mpmc::Receiver::<u64>::anonymous(16).unwrap();
    let _sender = mpmc::Sender::<u64>::from_fd(receiver.share().unwrap()).unwrap();
    let waited = Select::new().wait_timeout(&mut [&mut receiver], Duration::from_millis(150));
    assert!(matches!(waited, Err(Error::TimedOut)), "{waited:?}");
}

#[test]
fn a_forked_child_gets_forked_from_the_queue() {
    let named = Name::new("mpmc-fork");
    let mut peer = peer!("peer-shm", "mpmc-forker", named.0);
    peer.expect("child [true, true, true, true, true]");
    peer.expect("parent 2");
    peer.finish();
    assert!(name::in_dev_shm(&named.0).is_empty());
}

#[test]
fn f1_a_scribbling_participant_is_an_error_and_nothing_worse() {
    let named = Name::new("mpmc-scribble");
    Sender::create(&named.0, 16).unwrap().persist();
    let short = Duration::from_micros(50);
    scribbled(
        "mpmc",
        &named,
        || Ok((Sender::open(&named.0)?, Receiver::open(&named.0)?)),
        |(sender, receiver), turn| {
            [
                sender.try_send(&turn).err(),
                sender.send_timeout(&turn, short).err(),
                sender.try_send_batch(&[turn; 5]).err(),
                receiver.try_recv().err(),
                receiver.try_recv_batch(&mut [0; 5]).err(),
                receiver.recv_timeout(short).err(),
                receiver.try_hold().and_then(mpmc::Held::done).err(),
            ]
        },
    );
}
