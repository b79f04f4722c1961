//! Processes that attach and use what somebody changes under their hands. Whatever that is, they end by themselves, and say
//! what came of it.
#![expect(unsafe_code, reason = "the naive twins map files as C programs do")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};

use ipc_shm::{Invitation, Sealed, spsc};
use ipc_testkit::crash;
use ipc_testkit::role::{Result, Role, say};
use nix::fcntl::{FcntlArg, fcntl};

use crate::ends::{Ends, Large, SOON, word};

pub(crate) const ROLES: &[Role] = &[
    ("victim-attach", attach),
    ("victim-use", use_it),
    ("victim-accept", accept),
    ("victim-naive-accept", naive_accept),
    ("victim-flip", flip),
    ("spoil", spoil),
    ("naive-ring", naive_ring),
];

/// `victim-attach KIND NAME`: attaches both ends while somebody changes the header, then uses them.
fn attach(arguments: &[String]) -> Result {
    crash::begin();
    let ends = Ends::open(&arguments[0], &arguments[1]);
    crash::end();
    let mut ends = match ends {
        Ok(ends) => ends,
        Err(error) => return say(word(&Err(error))?),
    };
    for turn in 0..3 {
        for result in ends.use_all(turn) {
            word(&result)?;
        }
    }
    say("attached")
}

/// `victim-use KIND NAME`: the same, of the use.
fn use_it(arguments: &[String]) -> Result {
    let mut ends = Ends::open(&arguments[0], &arguments[1])?;
    crash::begin();
    let results = ends.use_briefly();
    crash::end();
    let mut said = Vec::new();
    for result in &results {
        said.push(word(result)?);
    }
    say(said.join(" "))
}

/// `victim-accept FD-PATH`: accepts an invitation to receive, and uses the end.
fn accept(arguments: &[String]) -> Result {
    let descriptors = vec![OwnedFd::from(File::open(&arguments[0])?)];
    let invitation = Invitation::<spsc::Receiver<Large, Sealed>>::try_from(descriptors)?;
    crash::begin();
    let accepted = invitation.accept();
    crash::end();
    match accepted {
        Ok((mut receiver, _acceptance)) => {
            let mut buffer = [[0; 8]; 64];
            for result in [
                receiver.try_recv().map(drop),
                receiver.try_recv_batch(&mut buffer).map(drop),
                receiver.recv_timeout(SOON).map(drop),
            ] {
                word(&result)?;
            }
            say("attached")
        }
        Err(error) => say(word(&Err(error))?),
    }
}

/// `victim-naive-accept FD-PATH`: how long, whether sealed, map, read it all.
fn naive_accept(arguments: &[String]) -> Result {
    let file = File::open(&arguments[0])?;
    crash::begin();
    let len = usize::try_from(file.metadata()?.size())?;
    let sealed = fcntl(&file, FcntlArg::F_GET_SEALS)? & libc::F_SEAL_SHRINK != 0;
    crash::end();
    if !sealed {
        return say("refused");
    }
    // SAFETY: a new mapping at the kernel's choice of address.
    let base = unsafe {
        libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    if base == libc::MAP_FAILED {
        return Err("mmap".into());
    }
    let mut sum = 0_u64;
    for at in (0..len).step_by(4096) {
        // SAFETY: within the mapping, as far as this naive program knows.
        sum += u64::from(unsafe { base.cast::<u8>().wrapping_add(at).read_volatile() });
    }
    say(format_args!("attached {}", sum.min(1)))
}

/// `victim-flip NAME MILLISECONDS WORD A B ...`: writes A and B into each WORD in turn, as fast as it can.
fn flip(arguments: &[String]) -> Result {
    let memory = crate::spsc::words_of_file(&arguments[0])?;
    let mut flips = Vec::new();
    for words in arguments[2..].chunks(3) {
        flips.push((words[0].parse::<usize>()?, words[1].parse::<u64>()?, words[2].parse::<u64>()?));
    }
    let end = Instant::now() + Duration::from_millis(arguments[1].parse()?);
    say("ready")?;
    let mut written = 0_u64;
    while Instant::now() < end {
        for _ in 0..1000 {
            for (word, a, b) in &flips {
                let value = if written & 1 == 0 { *a } else { *b };
                memory[*word].store(value, std::sync::atomic::Ordering::Relaxed);
            }
            written += 1;
            for _ in 0..written % 7 {
                std::hint::spin_loop();
            }
        }
    }
    say(written)
}

/// `spoil KIND NAME`: each byte of the words that the protocol uses, in five values, once before both ends attach and once after;
/// says for each byte how many cases there were, how many attaches were refused, and how many ends found their peer corrupt.
fn spoil(arguments: &[String]) -> Result {
    let (kind, name) = (&arguments[0], &arguments[1]);
    Ends::create(kind, name)?;
    let file = OpenOptions::new().read(true).write(true).open(format!("/dev/shm/{name}"))?;
    let mut good = vec![0; usize::try_from(file.metadata()?.len())?];
    file.read_exact_at(&mut good, 0)?;
    let words = (0..13).chain([128, 144, 160, 176, 256, 272, 288, 304, 320, 352, 512, 513]);
    for at in words.flat_map(|word: u64| word * 8..word * 8 + 8) {
        let (mut cases, mut refused, mut corrupt) = (0, 0, 0);
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            for before in [true, false] {
                file.write_all_at(&good, 0)?;
                cases += 1;
                if before {
                    file.write_all_at(&[value], at)?;
                }
                let mut ends = match Ends::open(kind, name) {
                    Ok(ends) => ends,
                    Err(error) if !before => return Err(error.into()),
                    Err(error) => {
                        word(&Err(error))?;
                        refused += 1;
                        continue;
                    }
                };
                if !before {
                    for result in ends.use_all(1) {
                        word(&result)?;
                    }
                    file.write_all_at(&[value], at)?;
                }
                corrupt += u32::from(used(&mut ends)?);
            }
        }
        say(format_args!("{cases} {refused} {corrupt}"))?;
    }
    Ok(())
}

/// Uses both ends; whether one of them found its peer corrupt, which it then says every time.
fn used(ends: &mut Ends) -> Result<bool> {
    let mut found = Vec::new();
    for turn in 0..3 {
        let results = ends.use_all(turn);
        let mut now = Vec::new();
        for result in &results {
            now.push(word(result)? == "corrupt");
        }
        // The lane of a corrupt sender is gone after the first time.
        let sticky = !matches!(ends, Ends::Lanes(..));
        if sticky && found.iter().zip(&now).any(|(before, now)| *before && !now) {
            return Err("a corrupt channel was used again".into());
        }
        found = now;
        if !sticky && found.contains(&true) {
            return Ok(true);
        }
    }
    Ok(found.contains(&true))
}

/// `naive-ring POSITION`: takes the message at the position that another process wrote, as many a ring does.
fn naive_ring(arguments: &[String]) -> Result {
    let ring = [7_u64; 16];
    let position = usize::try_from(arguments[0].parse::<u64>()?)?;
    say(ring[position])
}
