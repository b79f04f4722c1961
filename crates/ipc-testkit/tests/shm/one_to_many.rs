//! `latest` and `broadcast`: one writer, any number of readers.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use ipc_shm::{ChannelOptions, Error, Refusal, Sealed, broadcast, latest};
use ipc_testkit::{WATCHDOG, peer, proof, repetitions, repetitions_or_long, report};

use crate::memory::Name;

type Block = [u64; 32];

fn whole(block: &Block) -> bool {
    block.iter().all(|word| *word == block[0])
}

#[test]
fn f11_readers_of_a_killed_writer_keep_the_last_whole_value() {
    let named = Name::new("latest");
    drop_persisting(latest::Writer::<Block>::create(&named.0).unwrap());
    let mut reader = latest::Reader::<Block>::open(&named.0).unwrap();
    assert_eq!(reader.read().unwrap(), None);
    assert!(!reader.writer_is_alive().unwrap());
    let (mut reads, mut last, mut contended) = (0_u64, 0, 0_u64);
    let rounds = repetitions(50, 1000);
    for _ in 0..rounds {
        let mut peer = peer!("peer-shm", "latest-writer", named.0, last + 1);
        peer.expect("ready");
        assert!(reader.writer_is_alive().unwrap());
        let end = Instant::now() + Duration::from_millis(10);
        while Instant::now() < end {
            for _ in 0..100 {
                match reader.read() {
                    Ok(Some(block)) => {
                        assert!(whole(&block), "torn: {block:?}");
                        assert!(block[0] >= last, "went back");
                        last = block[0];
                        reads += 1;
                    }
                    Ok(None) => assert_eq!(last, 0),
                    Err(Error::Contended) => contended += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        peer.kill();
        let kept = reader.read().unwrap().unwrap();
        assert!(whole(&kept) && kept[0] >= last);
        last = kept[0];
        assert!(matches!(reader.wait(), Err(Error::Disconnected)));
    }
    assert!(last > 1000);

    let plain = Name::new("torn");
    let memory = ipc_shm::SharedMemory::create(&plain.0, 256).unwrap();
    let mut peer = peer!("peer-shm", "plain-writer", plain.0);
    peer.expect("ready");
    let (mut torn, mut tried) = (0, 0_u64);
    let (enough, end) = (Instant::now() + Duration::from_secs(1), Instant::now() + WATCHDOG);
    while torn < 100 && Instant::now() < if torn == 0 { end } else { enough } {
        tried += 1;
        torn += u32::from(!whole(&memory.read::<Block>(0).unwrap()));
    }
    assert!(torn > 0, "the harness shows no race at all");
    proof!(
        "F11",
        "latest: {rounds} killed writers, {reads} reads, 0 torn, {contended} contended; naive twin torn {torn} times in {tried}"
    );
}

fn drop_persisting(writer: latest::Writer<Block>) {
    writer.persist();
    drop(writer);
}

#[test]
fn f11_readers_of_a_killed_broadcaster_are_told() {
    let named = Name::new("dies");
    let first = broadcast::Writer::<Block>::create(&named.0, 16).unwrap();
    first.persist();
    drop(first);
    let mut reader = broadcast::Reader::<Block>::open(&named.0).unwrap();
    let (mut next, mut lost, mut died, mut longest) = (0_u64, 0, 0, Duration::ZERO);
    let rounds = repetitions(10, 300);
    for _ in 0..rounds {
        let mut peer = peer!("peer-shm", "broadcast-writer", named.0, next, u64::MAX);
        peer.expect("ready");
        let mut dead = None;
        let stop = Instant::now() + Duration::from_millis(10);
        loop {
            match reader.recv() {
                Ok(block) => {
                    assert!(whole(&block) && block[0] == next, "{next}: {block:?}");
                    next += 1;
                }
                Err(Error::Lagged(count)) => {
                    lost += count;
                    next += count;
                }
                Err(Error::WriterDied) => {
                    died += 1;
                    break;
                }
                Err(Error::Disconnected) => break,
                Err(error) => panic!("{error}"),
            }
            if dead.is_none() && Instant::now() > stop {
                peer.kill();
                dead = Some(Instant::now());
            }
        }
        longest = longest.max(dead.unwrap().elapsed());
    }
    assert!(longest < WATCHDOG, "{longest:?}");
    proof!(
        "F11",
        "broadcast: {rounds} killed writers, {next} messages of which {lost} were lapped, 0 torn, {died} in the middle of a message; told after at most {longest:?}"
    );
}

#[test]
fn several_readers_each_get_everything_or_learn_what_they_lost() {
    let named = Name::new("many");
    let mut writer = broadcast::Writer::<Block>::create(&named.0, 1024).unwrap();
    let mut readers: Vec<_> =
        (0..3).map(|number| peer!("peer-shm", "broadcast-reader", named.0, 1 + 8 * number)).collect();
    for reader in &mut readers {
        reader.expect("ready");
    }
    let count = repetitions_or_long(50_000, 1_000_000, 5_000_000) as u64;
    for value in 0..count / 2 {
        writer.write(&[value; 32]).unwrap();
    }
    let rest: Vec<Block> = (count / 2..count).map(|value| [value; 32]).collect();
    rest.chunks(20).for_each(|batch| writer.write_batch(batch).unwrap());
    drop(writer);
    for mut reader in readers {
        let line = reader.hear();
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        assert_eq!((words[0], words[3]), (count.to_string().as_str(), "the other end is gone"), "{line}");
        reader.finish();
    }
}

#[test]
fn f10_sleeping_readers_are_woken_by_every_write() {
    for barrier in [true, false] {
        let named = Name::new("sleepers");
        let options = ChannelOptions::new(1024);
        let options = if barrier { options } else { options.without_barrier() };
        let mut writer = broadcast::Writer::<Block>::create(&named.0, options).unwrap();
        let mut readers: Vec<_> =
            (0..2).map(|number| peer!("peer-shm", "broadcast-reader", named.0, 1 + number)).collect();
        for reader in &mut readers {
            reader.expect("ready");
        }
        let mut next = 0;
        for value in 0..repetitions(200, 5_000) as u64 {
            for reader in &readers {
                reader.until_asleep_in(libc::SYS_futex);
            }
            if value % 2 == 0 {
                writer.write(&[next; 32]).unwrap();
            } else {
                writer.write_batch(&[[next; 32], [next + 1; 32]]).unwrap();
            }
            next += 1 + value % 2;
        }
        drop(writer);
        for mut reader in readers {
            reader.expect(&format!("{next} {next} 0 the other end is gone"));
            reader.finish();
        }
    }
}

#[test]
fn f12_positions_wrap_and_a_lapped_reader_goes_on() {
    for start in [0, (1 << 32) - 20, (1 << 63) - 20, u64::MAX - 20] {
        let mut writer =
            broadcast::Writer::<u64, Sealed>::anonymous(ChannelOptions::new(16).start(start)).unwrap();
        let mut reader = broadcast::Reader::<u64, Sealed>::from_fd(writer.share().unwrap()).unwrap();
        assert!(matches!(reader.try_recv(), Err(Error::Empty)));
        assert_eq!((writer.capacity(), reader.capacity()), (16, 16));
        let seed = report::seed();
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut written, mut next) = (0_u64, 0_u64);
        for _ in 0..repetitions_or_long(20_000, 200_000, 1_000_000) {
            match random.u8(0..36) {
                0..18 => {
                    writer.write(&written).unwrap();
                    written += 1;
                    continue;
                }
                18 => {
                    let batch: Vec<u64> = (written..written + random.u64(0..40)).collect();
                    writer.write_batch(&batch).unwrap();
                    written += batch.len() as u64;
                    continue;
                }
                _ => {}
            }
            let mut buffer = vec![0; random.usize(1..6)];
            let received = match &mut buffer[..] {
                [message] => reader.try_recv().map(|received| {
                    *message = received;
                    1
                }),
                buffer => reader.try_recv_batch(buffer),
            };
            match received {
                Ok(count) => {
                    assert_eq!(count as u64, (written - next).min(buffer.len() as u64), "seed {seed}");
                    assert!(buffer[..count].iter().copied().eq(next..next + count as u64), "seed {seed}");
                    next += count as u64;
                }
                Err(Error::Empty) => assert_eq!(next, written, "seed {seed}"),
                Err(Error::Lagged(count)) => {
                    assert!(written - next > 16 && count > 0);
                    next += count;
                    assert_eq!(next, written - 8, "seed {seed}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn f5_another_protocol_type_or_mode_is_refused() {
    let reason = |error: Error| match error {
        Error::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let cell = latest::Writer::<u64, Sealed>::anonymous().unwrap();
    let share = || -> OwnedFd { cell.share().unwrap() };
    assert!(matches!(
        reason(broadcast::Reader::<u64, Sealed>::from_fd(share()).unwrap_err()),
        Refusal::Kind { .. }
    ));
    assert_eq!(reason(latest::Reader::<u32, Sealed>::from_fd(share()).unwrap_err()), Refusal::Type);
    let named = Name::new("wrong");
    let writer = latest::Writer::<u64>::create(&named.0).unwrap();
    assert!(matches!(latest::Writer::<u64>::open(&named.0), Err(Error::EndInUse { .. })));
    assert!(matches!(latest::Writer::<u64>::create(&named.0), Err(Error::Exists { .. })));
    assert!(matches!(reason(broadcast::Reader::<u64>::open(&named.0).unwrap_err()), Refusal::Kind { .. }));
    drop(writer);
    assert!(matches!(latest::Reader::<u64>::open(&named.0), Err(Error::NotFound { .. })));
    for capacity in [0, 8, 17] {
        assert!(matches!(
            broadcast::Writer::<u64, Sealed>::anonymous(capacity),
            Err(Error::InvalidParameter { .. })
        ));
    }
}

#[test]
fn f1_a_scribbling_writer_cannot_harm_its_readers() {
    let seed = report::seed();
    let millis = repetitions(600, 10_000);
    let (mut calls, mut refused) = (0_u64, 0_u64);
    for kind in ["latest", "broadcast"] {
        let named = Name::new("scribbled");
        let cell = latest::Writer::<Block>::create(&named.0);
        let log = if kind == "latest" {
            None
        } else {
            drop(cell);
            Some(broadcast::Writer::<Block>::create(&named.0, 16).unwrap())
        };
        let mut latest_reader = latest::Reader::<Block>::open(&named.0).ok();
        let mut log_reader = broadcast::Reader::<Block>::open(&named.0).ok();
        let mut peer = peer!("peer-shm", "spsc-scribbler", named.0, millis, seed);
        peer.expect("ready");
        let end = Instant::now() + Duration::from_millis(millis as u64 - 100);
        while Instant::now() < end {
            let start = Instant::now();
            if let Some(reader) = &mut latest_reader {
                let _ = (reader.read(), reader.read_newer(), reader.wait_timeout(Duration::from_micros(20)));
            }
            if let Some(reader) = &mut log_reader {
                let _ = (reader.try_recv(), reader.recv_timeout(Duration::from_micros(20)));
            }
            assert!(start.elapsed() < WATCHDOG, "an operation hung");
            calls += 3;
            refused += u64::from(latest::Reader::<Block>::open(&named.0).is_err());
        }
        peer.hear();
        peer.finish();
        drop(log);
    }
    proof!("F1", "latest and broadcast: {calls} calls, {refused} attaches refused, 0 panics; seed {seed}");
}
