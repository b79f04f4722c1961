//! The broadcast that waits for its slowest reader: each reader gets every message, in order.
#![expect(unsafe_code, reason = "a borrow is behind a call that vouches for the writer, which is this test")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ipc_shm::broadcast::{self, lossless};
use ipc_shm::{ChannelOptions, Error, MemoryOptions, Origin, Presence, Refusal, Select, Wait, spsc};
use ipc_testkit::{Peer, peer, proof, repetitions_or_long, report};

use crate::memory::Name;
use crate::slow::Slow;

type Block = [u64; 4];
type Writer = lossless::Writer<Block>;
type Reader = lossless::Reader<Block>;

fn readers(name: &str, how: [&str; 3]) -> Vec<Peer> {
    let start = |(wait, pace)| peer!("peer-shm", "lossless-reader", name, wait, pace);
    let mut readers: Vec<_> = how.into_iter().zip([0, 1, 20]).map(start).collect();
    readers.iter_mut().for_each(|reader| reader.expect("ready"));
    readers
}

#[test]
fn f10_readers_of_any_speed_get_every_message_and_no_wake_up_is_lost() {
    let count = repetitions_or_long(6_000, 60_000, 300_000) as u64;
    let mut waited = 0;
    for (barrier, how) in [
        (true, ["park", "park", "park"]),
        (true, ["default", "spin", "park"]),
        (false, ["park", "default", "park"]),
    ] {
        let named = Name::new("lossless");
        let options = ChannelOptions::new(16);
        let options = if barrier { options } else { options.without_barrier() };
        let mut writer = Writer::create(&named.0, options).unwrap();
        let readers = readers(&named.0, how);
        writer.wait_for_readers(3).unwrap();
        assert_eq!(writer.readers().unwrap(), 3);
        if barrier && how[0] == "park" {
            writer.set_wait(Wait::Park);
        }
        for message in 0..count {
            if message % 100 == 0 && message + 10 < count {
                // All at once, up to the tenth.
                continue;
            }
            if message % 100 == 10 {
                let batch: Vec<Block> = (message - 10..=message).map(|message| [message; 4]).collect();
                writer.write_batch(&batch).unwrap();
            } else if message % 100 > 10 || message + 10 >= count {
                writer.write(&[message; 4]).unwrap();
            }
        }
        waited += writer.stat().unwrap().sender.parked;
        drop(writer);
        for mut reader in readers {
            reader.expect(&format!("0 {count}"));
            reader.finish();
        }
    }
    assert!(waited > 0, "the writer never had to wait");
    proof!("F10", "lossless: 3 x 3 readers got {count} messages each, all; the writer slept {waited} times");
}

#[test]
fn f10_each_message_of_a_full_log_wakes_the_writer_that_waits_for_it() {
    let rounds = repetitions_or_long(2_000, 50_000, 200_000) as u64;
    let named = Name::new("lossless-turns");
    let mut writer = lossless::Writer::<u64>::create(&named.0, 16).unwrap();
    writer.set_wait(Wait::Park);
    let mut readers = [(); 2].map(|()| lossless::Reader::<u64>::open(&named.0).unwrap());
    let name = named.0.clone();
    for message in 0..16 {
        writer.write(&message).unwrap();
    }
    let reading = nix::unistd::gettid();
    let writing = std::thread::spawn(move || {
        let mut slow = Slow::with_threads([reading]);
        for message in 16..16 + rounds {
            let start = Instant::now();
            writer.write(&message).unwrap();
            slow.note(start.elapsed());
        }
        (slow, writer)
    });
    // The reader that is behind goes first in every other turn: whoever is waited for has to wake the writer.
    for message in 0..rounds {
        let first = usize::from(message % 2 == 0);
        for who in [first, 1 - first] {
            assert_eq!(readers[who].recv().unwrap(), message);
        }
    }
    let (slow, writer) = writing.join().unwrap();
    let woken = ipc_shm::stat(&name).unwrap().receiver.woken;
    drop(writer);
    slow.check();
    proof!(
        "F10",
        "lossless: {rounds} waits of the writer for one of two readers, {woken} wakes, 0 lost, {slow}"
    );
}

#[test]
fn readers_join_and_leave_under_load_and_miss_nothing_in_between() {
    let named = Name::new("lossless-visit");
    let mut writer = Writer::create(&named.0, 16).unwrap();
    let mut steady = peer!("peer-shm", "lossless-reader", named.0, "default", 0);
    steady.expect("ready");
    let mut visitors = [(); 2].map(|()| peer!("peer-shm", "lossless-visitor", named.0));
    visitors.iter_mut().for_each(|visitor| visitor.expect("ready"));
    let end = Instant::now() + Duration::from_millis(repetitions_or_long(700, 10_000, 20_000) as u64);
    let mut count = 0;
    while Instant::now() < end {
        for _ in 0..100 {
            writer.write(&[count; 4]).unwrap();
            count += 1;
        }
    }
    drop(writer);
    steady.expect(&format!("0 {count}"));
    steady.finish();
    let mut said = Vec::new();
    for mut visitor in visitors {
        let line = visitor.hear();
        assert!(!line.contains("lost"), "{line}");
        said.push(line);
        visitor.finish();
    }
    assert!(ipc_testkit::name::in_dev_shm(&named.0).is_empty());
    proof!(
        "F12",
        "lossless: {count} messages, readers that joined and left meanwhile (visits, messages): {said:?}"
    );
}

#[test]
fn f12_positions_wrap_and_every_reader_sees_the_same_queue() {
    let seed = report::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    for start in [0, (1 << 32) - 20, (1 << 63) - 20, u64::MAX - 20] {
        let mut writer =
            lossless::Writer::<[u8; 12]>::anonymous(ChannelOptions::new(16).start(start)).unwrap();
        let make = |message: u64| {
            let mut bytes = [7; 12];
            bytes[..8].copy_from_slice(&message.to_ne_bytes());
            bytes
        };
        let mut next = 0_u64;
        let mut readers: Vec<(lossless::Reader<[u8; 12]>, VecDeque<u64>)> = Vec::new();
        for _ in 0..repetitions_or_long(20_000, 200_000, 1_000_000) {
            let room = 16 - readers.iter().map(|(_, queue)| queue.len()).max().unwrap_or(0);
            match random.u8(0..20) {
                0 if readers.len() < 5 => {
                    readers
                        .push((lossless::Reader::from_fd(writer.share().unwrap()).unwrap(), VecDeque::new()));
                    assert_eq!(writer.readers().unwrap(), readers.len());
                }
                1 if !readers.is_empty() => drop(readers.swap_remove(random.usize(..readers.len()))),
                2..=5 => {
                    let wanted = random.usize(1..30);
                    let batch: Vec<_> = (next..next + wanted as u64).map(make).collect();
                    let written = match writer.try_write_batch(&batch) {
                        Err(Error::Full) => 0,
                        written => written.unwrap(),
                    };
                    assert_eq!(written, wanted.min(room), "seed {seed}");
                    for message in next..next + written as u64 {
                        readers.iter_mut().for_each(|(_, queue)| queue.push_back(message));
                    }
                    next += written as u64;
                }
                6..=9 => match writer.try_write(&make(next)) {
                    Ok(()) => {
                        assert!(room > 0, "seed {seed}");
                        readers.iter_mut().for_each(|(_, queue)| queue.push_back(next));
                        next += 1;
                    }
                    Err(Error::Full) => assert_eq!(room, 0, "seed {seed}"),
                    Err(error) => panic!("{error}"),
                },
                10..=13 if !readers.is_empty() => {
                    let who = random.usize(..readers.len());
                    let (reader, queue) = &mut readers[who];
                    let mut buffer = vec![[0; 12]; random.usize(1..20)];
                    match reader.try_recv_batch(&mut buffer) {
                        Ok(count) => {
                            assert_eq!(count, queue.len().min(buffer.len()), "seed {seed}");
                            for message in &buffer[..count] {
                                assert_eq!(Some(*message), queue.pop_front().map(make), "seed {seed}");
                            }
                        }
                        Err(Error::Empty) => assert!(queue.is_empty(), "seed {seed}"),
                        Err(error) => panic!("{error}"),
                    }
                }
                _ if !readers.is_empty() => {
                    let who = random.usize(..readers.len());
                    let (reader, queue) = &mut readers[who];
                    match reader.try_recv() {
                        Ok(message) => assert_eq!(Some(message), queue.pop_front().map(make), "seed {seed}"),
                        Err(Error::Empty) => assert!(queue.is_empty(), "seed {seed}"),
                        Err(error) => panic!("{error}"),
                    }
                }
                _ => {}
            }
        }
        assert!(next > 1000);
    }
    proof!(
        "F12",
        "lossless: 4 starts against a VecDeque for each of up to 5 readers, 0 differences; seed {seed}"
    );
}

#[test]
fn f5_what_cannot_be_is_refused_and_places_run_out() {
    let reason = |error: Error| match error {
        Error::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let named = Name::new("lossless-refuse");
    let mut writer = Writer::create(&named.0, ChannelOptions::new(16).tag("ours")).unwrap();
    let ours = MemoryOptions::new().tag("ours");
    assert!(matches!(reason(Reader::open(&named.0).unwrap_err()), Refusal::Tag { .. }));
    assert_eq!(reason(lossless::Reader::<u64>::open_with(&named.0, &ours).unwrap_err()), Refusal::Type);
    let lossy = broadcast::Reader::<Block>::open(&named.0).unwrap_err();
    assert!(matches!(reason(lossy), Refusal::Kind { .. }));
    assert!(matches!(reason(spsc::Receiver::<Block>::open(&named.0).unwrap_err()), Refusal::Kind { .. }));
    assert!(matches!(Writer::create(&named.0, 16), Err(Error::Exists { .. })));
    assert!(matches!(Writer::open_with(&named.0, &ours), Err(Error::EndInUse { .. })));
    assert!(matches!(Reader::open("/lossless-nobody-made"), Err(Error::NotFound { .. })));
    for capacity in [0, 1, 8, 15, 17, 1000, usize::MAX, 1 << 63] {
        assert!(matches!(Writer::anonymous(capacity), Err(Error::InvalidParameter { .. })), "{capacity}");
    }
    let pollable = Writer::anonymous(ChannelOptions::new(16).pollable());
    assert!(matches!(pollable, Err(Error::InvalidParameter { .. })));

    let mut all: Vec<_> = (0..64).map(|_| Reader::open_with(&named.0, &ours).unwrap()).collect();
    assert!(matches!(Reader::open_with(&named.0, &ours), Err(Error::EndInUse { .. })));
    assert_eq!(writer.readers().unwrap(), 64);
    writer.write(&[1; 4]).unwrap();
    for reader in &mut all {
        assert_eq!(reader.recv().unwrap(), [1; 4]);
    }
    all.remove(17);
    all.push(Reader::open_with(&named.0, &ours).unwrap());
    writer.write(&[2; 4]).unwrap();
    assert!(all.iter_mut().all(|reader| reader.recv().unwrap() == [2; 4]));
    assert!(matches!(writer.wait_for_readers(65), Err(Error::InvalidParameter { .. })));

    let stat = ipc_shm::stat(&named.0).unwrap();
    assert_eq!((stat.kind, stat.sender.messages), ("lossless", 2));
    assert_eq!((stat.receiver.count, stat.lag()), (Some(64), Some(0)));
    writer.write(&[3; 4]).unwrap();
    all[5].recv().unwrap();
    let stat = ipc_shm::stat(&named.0).unwrap();
    assert_eq!((stat.receiver.messages, stat.lag()), (2, Some(1)), "the slowest counts");
    assert_eq!((stat.sender.presence, stat.receiver.presence), (Presence::Alive, Presence::Many));
    assert_eq!(stat, all[0].stat().unwrap());
    assert_eq!(stat, writer.stat().unwrap());
    drop((writer, all));
    let (_, origin) = Writer::open_or_replace(&named.0, 16).unwrap();
    assert_eq!(origin, Origin::Created);
}

#[test]
fn waits_end_in_time_and_say_why() {
    let named = Name::new("lossless-waits");
    let mut writer = Writer::create(&named.0, 16).unwrap();
    assert_eq!((writer.capacity(), Reader::open(&named.0).unwrap().capacity()), (16, 16));
    // Nobody reads, so nobody is waited for.
    for message in 0..100 {
        writer.try_write(&[message; 4]).unwrap();
    }
    let century = Duration::from_secs(100 * 365 * 86_400);
    writer.wait_for_readers_timeout(0, Duration::ZERO).unwrap();
    assert!(matches!(writer.wait_for_readers_timeout(1, Duration::from_millis(2)), Err(Error::TimedOut)));
    let mut reader = Reader::open(&named.0).unwrap();
    writer.wait_for_readers_timeout(1, century).unwrap();
    for wait in [Wait::Park, Wait::SpinThenPark, Wait::Spin] {
        reader.set_wait(wait);
        writer.set_wait(wait);
        assert!(matches!(reader.try_recv(), Err(Error::Empty)));
        assert!(matches!(reader.try_recv_batch(&mut [[0; 4]; 3]), Err(Error::Empty)));
        assert!(matches!(reader.recv_timeout(Duration::ZERO), Err(Error::TimedOut)));
        assert!(matches!(reader.recv_timeout(Duration::from_millis(2)), Err(Error::TimedOut)));
        writer.write_batch(&[[7; 4]; 16]).unwrap();
        assert!(matches!(writer.try_write(&[0; 4]), Err(Error::Full)));
        assert!(matches!(writer.try_write_batch(&[[0; 4]; 2]), Err(Error::Full)));
        assert_eq!(writer.try_write_batch(&[]).unwrap(), 0);
        assert!(matches!(writer.write_timeout(&[0; 4], Duration::ZERO), Err(Error::TimedOut)));
        let start = Instant::now();
        assert!(matches!(writer.write_timeout(&[0; 4], Duration::from_millis(70)), Err(Error::TimedOut)));
        assert!(start.elapsed() >= Duration::from_millis(70));
        assert_eq!(reader.try_recv_batch(&mut []).unwrap(), 0);
        assert_eq!(reader.recv_timeout(century).unwrap(), [7; 4]);
        writer.write_timeout(&[7; 4], century).unwrap();
        let mut buffer = [[0; 4]; 32];
        assert_eq!(reader.recv_batch(&mut buffer).unwrap(), 16);
        assert!(buffer[..16].iter().all(|block| *block == [7; 4]));
    }
    reader.set_wait(Wait::Poll);
    assert!(matches!(reader.recv_timeout(century), Err(Error::NoSocket)));

    // What is written when the writer goes is there still.
    writer.write(&[8; 4]).unwrap();
    drop(writer);
    assert_eq!(reader.recv_timeout(century).unwrap(), [8; 4]);
    reader.set_wait(Wait::Park);
    assert!(matches!(reader.recv(), Err(Error::Disconnected)));
    assert!(matches!(reader.try_recv(), Err(Error::Disconnected)));
}

#[test]
fn a_select_waits_for_a_message_and_for_room() {
    let mut writer = lossless::Writer::<u64>::anonymous(16).unwrap();
    let mut reader = lossless::Reader::<u64>::from_fd(writer.share().unwrap()).unwrap();
    let mut slower = lossless::Reader::<u64>::from_fd(reader.share().unwrap()).unwrap();
    let short = Duration::from_millis(3);
    let mut select = Select::new();
    select.set_wait(Wait::Park);
    assert!(matches!(select.wait_timeout(&mut [&mut reader, &mut slower], short), Err(Error::TimedOut)));
    assert_eq!(select.wait(&mut [&mut reader, &mut writer]).unwrap(), 1, "there is room");
    for message in 0..16 {
        writer.write(&message).unwrap();
    }
    assert!(matches!(select.wait_timeout(&mut [&mut writer], short), Err(Error::TimedOut)));
    assert_eq!(select.wait(&mut [&mut writer, &mut reader]).unwrap(), 1);
    reader.recv().unwrap();
    assert!(matches!(select.wait_timeout(&mut [&mut writer], short), Err(Error::TimedOut)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let found = select.wait(&mut [&mut writer]).unwrap();
            writer.try_write(&16).map(|()| found)
        });
        assert_eq!(slower.recv().unwrap(), 0);
        assert_eq!(waiting.join().unwrap().unwrap(), 0);
    });
    drop(writer);
    for message in 1..17 {
        assert_eq!(select.wait(&mut [&mut reader]).unwrap(), 0);
        assert_eq!(reader.try_recv().unwrap(), message);
    }
    assert_eq!(select.wait(&mut [&mut reader]).unwrap(), 0);
    assert!(matches!(reader.try_recv(), Err(Error::Disconnected)));
}

#[test]
fn a_borrowed_message_is_not_written_over() {
    let mut writer = Writer::anonymous(16).unwrap();
    let reader = Reader::from_fd(writer.share().unwrap()).unwrap();
    // SAFETY: this process is alone, and unlocks nothing.
    let mut reader = unsafe { reader.trust() };
    assert!(matches!(reader.try_borrow(), Err(Error::Empty)));
    for turn in 0..40 {
        writer.write(&[turn; 4]).unwrap();
        let borrow = if turn % 2 == 0 { reader.borrow() } else { reader.try_borrow() }.unwrap();
        assert_eq!(*borrow, [turn; 4]);
        for ahead in 1..16 {
            writer.try_write(&[turn + ahead; 4]).unwrap();
        }
        assert!(matches!(writer.try_write(&[0; 4]), Err(Error::Full)));
        assert_eq!(*borrow, [turn; 4]);
        drop(borrow);
        for ahead in 1..16 {
            assert_eq!(reader.recv().unwrap(), [turn + ahead; 4]);
        }
    }
}
