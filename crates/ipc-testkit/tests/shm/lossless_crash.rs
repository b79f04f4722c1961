//! What the death, the standstill and the scribbling of one party of a lossless broadcast leaves to the others.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use ipc_shm::broadcast::lossless;
use ipc_shm::{Error, Wait};
use ipc_testkit::{WATCHDOG, command, crash, peer, proof, repetitions};
use nix::sys::signal::{Signal, kill};

use crate::corrupt::scribbled;
use crate::memory::Name;

type Block = [u64; 4];
type Writer = lossless::Writer<Block>;
type Reader = lossless::Reader<Block>;

#[test]
fn f9_a_reader_killed_at_any_instruction_loses_nothing_for_the_others() {
    let (mut longest, mut held) = (Duration::ZERO, 0);
    let points = crash::at_every_step(
        repetitions(12, usize::MAX),
        || {
            let named = Name::new("lossless-step");
            let mut writer = Writer::create(&named.0, 16).unwrap();
            writer.set_wait(Wait::Park);
            let other = Reader::open(&named.0).unwrap();
            (command!("peer-shm", "lossless-step-read", named.0), (named, writer, other))
        },
        |death, (_named, mut writer, mut other)| {
            let mut wait = Duration::ZERO;
            for message in 0..40 {
                let start = Instant::now();
                writer
                    .write_timeout(&[message; 4], WATCHDOG)
                    .unwrap_or_else(|error| panic!("{death}: {error}"));
                wait = wait.max(start.elapsed());
                assert_eq!(other.try_recv().unwrap(), [message; 4], "{death}");
            }
            held += u32::from(wait > Duration::from_millis(20));
            longest = longest.max(wait);
            assert_eq!(writer.readers().unwrap(), 1, "{death}");
            // The place is free again, and as good as new.
            let mut next = Reader::open(&_named.0).unwrap();
            for message in 40..80 {
                writer.write_timeout(&[message; 4], WATCHDOG).unwrap();
                assert_eq!(next.try_recv().unwrap(), [message; 4], "{death}");
                assert_eq!(other.try_recv().unwrap(), [message; 4], "{death}");
            }
            held > 0
        },
    );
    assert!(held > 0, "no death ever held the writer up");
    proof!(
        "F9",
        "lossless: a reader killed at {points} instructions of joining, reading and leaving; {held} times the writer had to find it dead, at most {longest:?}; the other reader got all"
    );
}

#[test]
fn a_writer_that_waits_for_readers_does_not_begin_with_a_dead_one() {
    let named = Name::new("lossless-gather");
    let mut writer = Writer::create(&named.0, 16).unwrap();
    let mut doomed = peer!("peer-shm", "lossless-reader", named.0, "park", 0);
    doomed.expect("ready");
    writer.wait_for_readers(1).unwrap();
    doomed.kill();
    let waited = writer.wait_for_readers_timeout(1, Duration::from_millis(5));
    assert!(matches!(waited, Err(Error::TimedOut)), "{waited:?}");
    let _living = Reader::open(&named.0).unwrap();
    writer.wait_for_readers(1).unwrap();
}

#[test]
fn f9_readers_killed_under_load_stop_nobody() {
    let rounds = repetitions(8, 300);
    let named = Name::new("lossless-kills");
    let mut writer = Writer::create(&named.0, 16).unwrap();
    let mut steady = peer!("peer-shm", "lossless-reader", named.0, "default", 0);
    steady.expect("ready");
    let (mut count, mut longest) = (0, Duration::ZERO);
    for round in 0..rounds {
        writer.set_wait(if round % 2 == 0 { Wait::Park } else { Wait::SpinThenPark });
        let mut doomed = peer!("peer-shm", "lossless-reader", named.0, "park", round % 3);
        doomed.expect("ready");
        for turn in 0..400 {
            if turn == 200 {
                doomed.kill();
            }
            let start = Instant::now();
            writer.write(&[count; 4]).unwrap();
            count += 1;
            longest = longest.max(start.elapsed());
        }
    }
    drop(writer);
    steady.expect(&format!("0 {count}"));
    steady.finish();
    // The promise is 100 ms; a loaded machine may keep us off the CPU for longer.
    assert!(longest < WATCHDOG, "{longest:?}");
    proof!(
        "F9",
        "lossless: {rounds} readers killed under load, the other got all {count}; longest write {longest:?}"
    );
}

#[test]
fn f9_a_stopped_reader_is_slow_and_not_dead() {
    let named = Name::new("lossless-stopped");
    let mut writer = Writer::create(&named.0, 16).unwrap();
    let mut reader = peer!("peer-shm", "lossless-reader", named.0, "park", 0);
    reader.expect("ready");
    let id = nix::unistd::Pid::from_raw(i32::try_from(reader.id()).unwrap());
    let mut count = 0;
    for wait in [Wait::Park, Wait::SpinThenPark] {
        writer.set_wait(wait);
        kill(id, Signal::SIGSTOP).unwrap();
        ipc_testkit::until("the stop", || {
            std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap().contains(") T ")
        });
        let full = loop {
            match writer.write_timeout(&[count; 4], Duration::from_millis(300)) {
                Ok(()) => count += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, Error::TimedOut));
        assert!(matches!(writer.try_write(&[count; 4]), Err(Error::Full)));
        assert_eq!(writer.readers().unwrap(), 1);
        kill(id, Signal::SIGCONT).unwrap();
        writer.write(&[count; 4]).unwrap();
        count += 1;
    }
    drop(writer);
    reader.expect(&format!("0 {count}"));
    reader.finish();
    proof!("F9", "lossless: a reader stopped for 300 ms holds the writer up, is not dead and gets all");
}

#[test]
fn f9_a_reader_that_looks_dead_is_told_and_gets_no_torn_message() {
    let named = Name::new("lossless-late");
    let mut writer = Writer::create(&named.0, 16).unwrap();
    let mut late = peer!("peer-shm", "lossless-looks-dead", named.0);
    late.expect("ready");
    for message in 0..40 {
        writer.write_timeout(&[message; 4], WATCHDOG).unwrap();
    }
    late.tell("now");
    late.expect("this process looked dead, and what it had claimed was taken away");
    late.expect("true");
    late.finish();
    assert_eq!(writer.readers().unwrap(), 0);
}

#[test]
fn f11_a_lossless_writer_killed_at_any_instruction_leaves_whole_messages_and_is_followed() {
    let mut seen = [0; 4];
    let points = crash::at_every_step(
        repetitions(6, usize::MAX),
        || {
            let named = Name::new("lossless-writes");
            Writer::create(&named.0, 16).unwrap().persist();
            let readers = [(); 2].map(|()| Reader::open(&named.0).unwrap());
            (command!("peer-shm", "lossless-step-write", named.0), (named, readers))
        },
        |death, (named, mut readers)| {
            let mut came = [0, 0];
            for (reader, came) in readers.iter_mut().zip(&mut came) {
                loop {
                    match reader.recv_timeout(WATCHDOG) {
                        Ok(message) => assert_eq!(message, [*came; 4], "{death}"),
                        Err(Error::Disconnected) => break,
                        Err(error) => panic!("{death}: {error}"),
                    }
                    *came += 1;
                }
            }
            assert!(came[0] == came[1] && came[0] != 2, "{death}: {came:?}");
            seen[usize::try_from(came[0]).unwrap()] += 1;
            // The readers stay for the next one.
            let mut successor = Writer::open(&named.0).unwrap();
            for message in 0..40 {
                successor.write_timeout(&[message; 4], WATCHDOG).unwrap();
                for reader in &mut readers {
                    assert_eq!(reader.recv_timeout(WATCHDOG).unwrap(), [message; 4], "{death}");
                }
            }
            seen[1] > 0 && seen[3] > 0
        },
    );
    assert!(seen[1] > 0 && seen[3] > 0, "{seen:?}");
    proof!(
        "F11",
        "lossless: writer killed at {points} instructions of a message and a batch of two; none, one, all came: {seen:?}"
    );
}

#[test]
fn f11_readers_of_a_killed_lossless_writer_get_all_and_are_told() {
    let rounds = repetitions(8, 300);
    let named = Name::new("lossless-dies");
    Writer::create(&named.0, 64).unwrap().persist();
    let mut reader = Reader::open(&named.0).unwrap();
    let (mut next, mut longest) = (0, Duration::ZERO);
    for round in 0..rounds {
        reader.set_wait(if round % 2 == 0 { Wait::Park } else { Wait::SpinThenPark });
        let mut writer = peer!("peer-shm", "lossless-writer", named.0, next, u64::MAX);
        writer.expect("ready");
        let stop = Instant::now() + Duration::from_millis(5);
        let mut dead = None;
        loop {
            match reader.recv() {
                Ok(block) => assert_eq!(block, [next; 4]),
                Err(Error::Disconnected) => break,
                Err(error) => panic!("{error}"),
            }
            next += 1;
            if dead.is_none() && Instant::now() > stop {
                writer.kill();
                dead = Some(Instant::now());
            }
        }
        longest = longest.max(dead.unwrap().elapsed());
    }
    assert!(longest < WATCHDOG, "{longest:?}");
    proof!(
        "F11",
        "lossless: {rounds} killed writers, {next} messages, 0 torn, 0 missing; told after at most {longest:?}"
    );
}

#[test]
fn f13_a_reader_that_joins_while_the_writer_runs_away_misses_nothing_from_its_first_message() {
    let mut held = 0;
    let points = crash::meddled_at_every_step(
        repetitions(12, usize::MAX),
        || {
            let named = Name::new("lossless-join");
            let writer = Writer::create(&named.0, 16).unwrap();
            (command!("peer-shm", "lossless-join", named.0), (named, writer, 0))
        },
        |(_, writer, count)| {
            // As far as it can, several times round.
            while *count < 100 && writer.try_write(&[*count; 4]).is_ok() {
                *count += 1;
            }
        },
        |mut death, (_named, mut writer, count)| {
            held += u32::from(count < 100);
            death.peer.expect("joined");
            for message in count..count + 40 {
                writer.write_timeout(&[message; 4], WATCHDOG).unwrap();
            }
            drop(writer);
            let line = death.peer.hear();
            let (first, came) = line.split_once(' ').unwrap_or_else(|| panic!("{death}: {line}"));
            let (first, came): (u64, u64) = (first.parse().unwrap(), came.parse().unwrap());
            assert!(first <= count && first + came == count + 40, "{death}: {line} of {}", count + 40);
            death.peer.finish();
        },
    );
    let mut lost = 0;
    let naive = crash::meddled_at_every_step(
        repetitions(20, usize::MAX),
        || {
            let named = Name::new("lossless-naive");
            let path = format!("/dev/shm/{}", named.0);
            // How many are written, and the cursor, which is nowhere yet.
            let words: Vec<u8> = [1_u64, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
            std::fs::write(&path, words).unwrap();
            (command!("peer-shm", "lossless-join-naively", named.0, 16), named)
        },
        |named| {
            let path = format!("/dev/shm/{}", named.0);
            let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
            let mut words = [0; 16];
            file.read_exact_at(&mut words, 0).unwrap();
            let cursor = u64::from_ne_bytes(words[8..].try_into().unwrap());
            let written: u64 = if cursor == 0 { 100 } else { cursor + 16 };
            file.write_all_at(&written.to_ne_bytes(), 0).unwrap();
        },
        |mut death, _named| {
            lost += u32::from(death.peer.hear() == "lost");
            death.peer.finish();
            lost > 0
        },
    );
    assert!(lost > 0, "the harness never comes between the look and the cursor");
    proof!(
        "F13",
        "lossless: the writer ran away at {points} instructions of a join, which held it {held} times; nothing missed; naive twin, which looks once: lost {lost} of {naive}"
    );
}

#[test]
fn f1_a_process_that_scribbles_over_cursors_and_header_is_an_error_and_nothing_worse() {
    let named = Name::new("lossless-scribble");
    lossless::Writer::<u64>::create(&named.0, 16).unwrap().persist();
    let short = Duration::from_micros(50);
    scribbled(
        "lossless",
        &named,
        || {
            let writer = lossless::Writer::<u64>::open(&named.0)?;
            let reader = || lossless::Reader::<u64>::open(&named.0);
            Ok((writer, reader()?, reader()?))
        },
        |(writer, first, second), turn| {
            let start = Instant::now();
            let results = [
                writer.try_write(&turn).err(),
                writer.try_write_batch(&[turn; 5]).err(),
                writer.write_timeout(&turn, short).err(),
                writer.readers().err(),
                first.try_recv().err(),
                first.try_recv_batch(&mut [0; 5]).err(),
                first.recv_timeout(short).err(),
                second.try_recv().err(),
                second.try_recv_batch(&mut [0; 5]).err(),
                second.recv_timeout(short).err(),
            ];
            assert!(start.elapsed() < WATCHDOG, "an operation hung");
            results
        },
    );
}
