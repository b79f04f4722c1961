//! G6: who may have a path, and when an old one is replaced. G7: who may connect.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ipc_sys::{Deadline, poll};
use ipc_testkit::{Peer, peer, proof, repetitions, skip, until};
use ipc_uds::{BindOptions, Datagram, Error, Listener, SeqPacket, Socket, Stale, Stream};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::{Place, is_root};

/// A name that leads to nobody, as a killed server leaves it. A process that another test's thread is just starting has
/// copies of our descriptors until it calls exec, so that the last one is not always closed here.
fn leave_dead(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    until("the end of the dead server", || {
        UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
}

fn replace() -> BindOptions {
    BindOptions::new().stale(Stale::Replace)
}

/// Lets two starters go at one instant, `rounds` times over a dead name, and counts the rounds that had not exactly one
/// server, reachable at the path.
fn race(role: &str, rounds: usize) -> usize {
    let place = Place::new();
    let path = place.path("s");
    let mut starters = [(); 2].map(|()| peer!("peer-uds", role, path.display()));
    for starter in &mut starters {
        starter.expect("ready");
    }
    let mut wrong = 0;
    for _ in 0..rounds {
        leave_dead(&path);
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
        let instant = now.tv_sec() * 1_000_000_000 + now.tv_nsec() + 200_000;
        for starter in &mut starters {
            starter.tell(instant);
        }
        let mut servers = Vec::new();
        for starter in &mut starters {
            if starter.hear() == "server" {
                servers.push(starter.id());
            }
        }
        let reached = Stream::connect(&path).ok().and_then(|stream| stream.peer_credentials().unwrap().pid);
        let right = servers.len() == 1 && reached.map(u32::from) == servers.first().copied();
        wrong += usize::from(!right);
        for starter in &mut starters {
            starter.tell("drop");
            starter.expect("ready");
        }
        let _ = fs::remove_file(&path);
    }
    wrong
}

#[test]
fn g6_of_two_starters_exactly_one_is_the_server() {
    let rounds = repetitions(100, 1000);
    let wrong = race("starter", rounds);
    assert_eq!(wrong, 0);
    // As often as it takes: on one busy CPU the two come one after the other.
    let (mut naive, mut raced) = (0, 0);
    while naive == 0 && raced < 100 * rounds {
        naive += race("naive-starter", rounds);
        raced += rounds;
    }
    assert!(naive > 0, "the naive twin was never wrong: the race is too tame to prove anything");
    proof!("G6", "{rounds} x 2 starters, {wrong} wrong; naive twin wrong {naive} times of {raced}");
}

#[test]
fn g6_a_live_server_is_never_removed() {
    for kind in ["listening", "bound", "datagram"] {
        let place = Place::new();
        let path = place.path("s");
        let mut stranger = peer!("peer-uds", "stranger", path.display(), kind);
        stranger.expect("bound");
        let before = fs::symlink_metadata(&path).unwrap().ino();
        for stale in [Stale::Fail, Stale::Replace] {
            let options = BindOptions::new().stale(stale);
            let refused = |error| matches!(error, Error::AddressInUse { .. });
            assert!(refused(options.listen::<Stream>(&path).unwrap_err()), "{kind} {stale:?}");
            assert!(refused(options.listen::<SeqPacket>(&path).unwrap_err()), "{kind} {stale:?}");
            assert!(refused(options.datagram(&path).unwrap_err()), "{kind} {stale:?}");
        }
        assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), before);
        assert_eq!(place.names(), ["s"], "no lock file stays");
        stranger.tell("look");
        stranger.expect("true");
        stranger.finish();
    }
}

#[test]
fn g6_what_is_no_socket_is_never_removed() {
    let place = Place::new();
    let target = place.path("target");
    leave_dead(&target);
    fs::write(place.path("file"), "content").unwrap();
    fs::create_dir(place.path("directory")).unwrap();
    symlink(&target, place.path("link")).unwrap();
    symlink("nowhere", place.path("dangling")).unwrap();
    nix::unistd::mkfifo(&place.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let before = place.names();
    for name in ["file", "directory", "link", "dangling", "fifo"] {
        for stale in [Stale::Fail, Stale::Replace] {
            let error = BindOptions::new().stale(stale).listen::<Stream>(place.path(name)).unwrap_err();
            assert!(matches!(error, Error::NotASocket { .. }), "{name} {stale:?}: {error}");
        }
    }
    assert_eq!(place.names(), before);
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "content");
    assert!(fs::symlink_metadata(&target).unwrap().file_type().is_socket());
}

#[test]
fn g6_a_lock_file_that_is_a_trap_is_refused() {
    let place = Place::new();
    let lock = place.path("s.lock");
    fs::write(place.path("precious"), "content").unwrap();
    symlink(place.path("precious"), &lock).unwrap();
    assert!(matches!(replace().listen::<Stream>(place.path("s")), Err(Error::NotASocket { .. })));
    fs::remove_file(&lock).unwrap();
    nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(replace().listen::<Stream>(place.path("s")), Err(Error::NotASocket { .. })));
    assert_eq!(fs::read_to_string(place.path("precious")).unwrap(), "content");
    if is_root() {
        fs::remove_file(&lock).unwrap();
        fs::write(&lock, "").unwrap();
        nix::unistd::chown(&lock, Some(65534.into()), None).unwrap();
        let refused = replace().listen::<Stream>(place.path("s"));
        assert!(matches!(refused, Err(Error::ForeignOwner { uid: 65534, .. })));
        assert!(lock.exists());
    }
}

#[test]
fn g6_another_users_dead_socket_is_left_alone() {
    if !is_root() {
        skip!("not root: there is no second user");
    }
    let place = Place::new();
    let path = place.path("s");
    leave_dead(&path);
    nix::unistd::chown(&path, Some(65534.into()), None).unwrap();
    for options in [BindOptions::new(), replace()] {
        let refused = options.listen::<Stream>(&path);
        assert!(matches!(refused, Err(Error::ForeignOwner { uid: 65534, .. })), "{refused:?}");
    }
    assert_eq!(place.names(), ["s"]);
}

#[test]
fn g6_a_killed_server_leaves_a_path_that_can_be_taken() {
    let (rounds, mut naive) = (repetitions(50, 1000), 0);
    let place = Place::new();
    let path = place.path("s");
    for round in 0..rounds {
        let mut holder = peer!("peer-uds", "holder", path.display(), "replace");
        if round % 2 == 0 {
            holder.expect("bound");
        }
        // In the odd rounds wherever its start-up is.
        holder.kill();
        if path.exists() {
            naive += usize::from(UnixListener::bind(&path).is_err());
            assert!(matches!(Listener::<Stream>::bind(&path), Err(Error::Stale { .. })));
            assert!(matches!(Stream::connect(&path), Err(Error::ConnectionRefused { .. })));
        }
        let listener: Listener = replace().listen(&path).unwrap();
        drop(Stream::connect(&path).unwrap());
        drop(listener);
        assert_eq!(place.names(), [""; 0]);
    }
    assert!(naive >= rounds / 2);
    proof!("G6", "{rounds} kills, 0 paths lost; naive twin: bind fails {naive} times");
}

#[test]
fn g6_who_holds_the_lock_file_is_the_server() {
    let place = Place::new();
    let path = place.path("s");
    let mut holder = peer!("peer-uds", "holder", path.display(), "replace");
    holder.expect("bound");
    // Somebody has tidied up: the name is gone, the server lives.
    fs::remove_file(&path).unwrap();
    assert!(matches!(replace().listen::<Stream>(&path), Err(Error::AddressInUse { .. })));
    holder.kill();
    let _listener: Listener = replace().listen(&path).unwrap();
    assert_eq!(place.names(), ["s", "s.lock"]);
}

/// A starter that has opened the lock file, and is held up before it locks it; meanwhile its holder goes and takes the file
/// away, and somebody else makes a new one and locks that.
#[test]
fn g6_a_lock_file_that_was_replaced_meanwhile_locks_nothing() {
    if Command::new("strace").arg("-V").output().is_err() {
        skip!("no strace on this machine");
    }
    let mut in_time = false;
    // A machine that stopped us for so long shows nothing: once more, and longer.
    for held_up in [1, 1, 2, 4, 8, 16, 32].map(Duration::from_secs) {
        let place = Place::new();
        let (path, lock) = (place.path("s"), place.path("s.lock"));
        fs::write(&lock, "").unwrap();
        let watch = Inotify::init(InitFlags::empty()).unwrap();
        watch.add_watch(&lock, AddWatchFlags::IN_OPEN).unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", "trace=flock"]);
        command.arg("-e").arg(format!("inject=flock:delay_enter={}:when=1", held_up.as_micros()));
        command.args([env!("CARGO_BIN_EXE_peer-uds"), "holder"]).arg(&path).arg("replace");
        let mut starter = Peer::start(&mut command);
        if poll::wait(&watch, libc::POLLIN, Deadline::after(ipc_testkit::WATCHDOG)).unwrap().is_none() {
            skip!("strace may not trace here: {}", starter.errors().trim());
        }
        let start = Instant::now();
        fs::remove_file(&lock).unwrap();
        let other = File::create(&lock).unwrap();
        other.lock().unwrap();
        in_time = start.elapsed() < held_up / 2;
        if in_time {
            assert_eq!(starter.hear(), format!("{:?}", Some(libc::EADDRINUSE)));
            assert_eq!(place.names(), ["s.lock"], "no second server beside the one that starts");
            starter.finish();
            break;
        }
    }
    assert!(in_time);
}

#[test]
fn g6_a_name_goes_with_its_socket_only_while_it_is_its_own() {
    let place = Place::new();
    let path = place.path("s");
    let first: Listener = Listener::bind(&path).unwrap();
    fs::rename(&path, place.path("moved")).unwrap();
    let second: Listener = Listener::bind(&path).unwrap();
    drop(first);
    assert_eq!(place.names(), ["moved", "s"], "the second one's name stays");
    drop(second);
    assert_eq!(place.names(), ["moved"]);
    let datagram = Datagram::bind(&path).unwrap();
    drop(datagram);
    assert_eq!(place.names(), ["moved"]);
}

#[test]
fn g6_a_forked_child_removes_no_name() {
    let place = Place::new();
    let mut forker = peer!("peer-uds", "forker", place.path("s").display());
    for _ in 0..3 {
        forker.expect("true");
    }
    forker.finish();
}

/// Parent and child have the same number, 1, each in its own namespace.
#[test]
fn g6_a_forked_child_in_another_pid_namespace_removes_no_name() {
    if !is_root() {
        skip!("a new pid namespace needs root");
    }
    let place = Place::new();
    let mut forker = peer!("peer-uds", "first-forker", place.path("s").display());
    for _ in 0..3 {
        forker.expect("true");
    }
    forker.finish();
}

#[test]
fn g6_a_full_file_system_is_an_error() {
    if !is_root() {
        skip!("not root: no file system of one's own");
    }
    let place = Place::new();
    let directory = place.path("full");
    fs::create_dir(&directory).unwrap();
    let script = "mount -t tmpfs -o nr_inodes=1 none \"$1\" && exec \"$0\" holder \"$1/s\" \"$2\"";
    for stale in ["fail", "replace"] {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_peer-uds")]);
        let mut holder = Peer::start(command.arg(&directory).arg(stale));
        match holder.next_line() {
            Some(said) => assert_eq!(said, format!("{:?}", Some(libc::ENOSPC)), "{stale}"),
            None => skip!("nothing can be mounted here: {}", holder.errors().trim()),
        }
        holder.finish();
    }
}

#[test]
fn what_needs_proc_says_so_where_it_is_not_mounted() {
    if !is_root() {
        skip!("a mount of our own over /proc needs root");
    }
    let place = Place::new();
    let long = place.path(&"l".repeat(100));
    let server: Listener = Listener::bind(&long).unwrap();
    let mut peer = peer!("peer-uds", "without-proc", place.path("s").display(), long.display());
    for _ in 0..3 {
        peer.expect("Some(2)");
    }
    peer.finish();
    drop(server);
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 0, "nothing half-made is left");
}

#[test]
fn g7_no_instant_of_permissions_for_others() {
    let place = Place::new();
    let enough = repetitions(100, 10_000);
    let watch = |how: &str| {
        let mut peer: Peer = peer!("peer-uds", "watched", place.path(how).display(), enough, how);
        let (seen, open): (u32, u32) = (peer.hear().parse().unwrap(), peer.hear().parse().unwrap());
        peer.finish();
        (seen, open)
    };
    let (seen, open) = watch("safe");
    let (naive_seen, naive_open) = watch("naive");
    assert!(seen > 0, "the watcher saw nothing");
    assert_eq!(open, 0);
    assert!(naive_open > 0, "the naive twin was never seen open, in {naive_seen} looks");
    proof!("G7", "umask 0: seen {seen} times, {open} open; naive twin open {naive_open} of {naive_seen}");
}

#[test]
fn g7_the_mode_is_exact_whatever_the_umask() {
    let place = Place::new();
    for mode in [0o600, 0o660, 0o666, 0o777, 0o606] {
        let listener: Listener = BindOptions::new().mode(mode).listen(place.path("s")).unwrap();
        let found = fs::metadata(place.path("s")).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{found:o} is not {mode:o}");
        drop(listener);
    }
}

#[test]
fn g7_another_user_may_connect_only_where_the_mode_says_so() {
    if !is_root() {
        skip!("not root: there is no second user");
    }
    let place = Place::new();
    for (mode, says) in [(0o600, "denied"), (0o666, "connected")] {
        let listener: Listener = BindOptions::new().mode(mode).listen(place.path("s")).unwrap();
        let mut intruder = peer!("peer-uds", "intruder", place.path("s").display());
        intruder.expect(says);
        intruder.finish();
        drop(listener);
    }
    assert!(UnixStream::connect(place.path("s")).is_err());
}
