//! With programs that are there already: Perl's IPC::SysV and Python's sysv_ipc, each way round. (The C side is the table
//! of pairs of `cargo xtask test-all`.)

use std::path::PathBuf;
use std::process::{Command, Stdio};

use ipc_sysv::{
    KeyFile, MessageBuffer, MessageQueue, MessageType, RemoveOnDrop, Segment, Select, SemaphoreSet,
};
use ipc_testkit::{Peer, name, proof, skip};

use crate::initialization::patient;

/// Uses our queue, set and segment; then makes its own with a second key.
const PERL: &str = r#"
use strict; use warnings; use IPC::SysV qw(ftok IPC_CREAT IPC_EXCL); use IPC::Msg; use IPC::Semaphore; use IPC::SharedMem;
$| = 1; my ($key, $own, $path) = @ARGV;
printf "%d\n", ftok($path, ord 'a');
my $queue = IPC::Msg->new($key, 0600); my $body;
$queue->rcv($body, 100, 2, 0); $queue->snd(3, uc $body);
my $set = IPC::Semaphore->new($key, 2, 0600); $set->op(1, 2, 0); printf "%s\n", join ' ', $set->getall;
my $memory = IPC::SharedMem->new($key, 0, 0600); $memory->attach; $memory->write(uc $memory->read(0, 5), 8, 5); $memory->detach;
my $new = 0600 | IPC_CREAT | IPC_EXCL;
IPC::Msg->new($own, $new)->snd(7, 'from perl');
my $theirs = IPC::Semaphore->new($own, 1, $new); $theirs->setval(0, 5);
my $shared = IPC::SharedMem->new($own, 100, $new); $shared->attach; $shared->write('from perl', 0, 9);
print "made\n"; my $end = <STDIN>;
"#;

const PYTHON: &str = r#"
import sys, sysv_ipc as ipc
key, own, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
def say(what): print(what, flush=True)
say(ipc.ftok(path, ord('a'), True))
queue = ipc.MessageQueue(key)
body, kind = queue.receive(type=2)
queue.send(body.upper(), type=3)
semaphore = ipc.Semaphore(key)
semaphore.release(delta=2)
say(f"{semaphore.value} 0")
memory = ipc.SharedMemory(key)
memory.write(memory.read(5).upper(), offset=8)
memory.detach()
ipc.MessageQueue(own, ipc.IPC_CREX).send(b'from python', type=7)
ipc.Semaphore(own, ipc.IPC_CREX, initial_value=5)
ipc.SharedMemory(own, ipc.IPC_CREX, size=100).write(b'from python')
say("made")
sys.stdin.read()
"#;

/// The same conversation with either; `values` is what the set holds after the other side added 2.
fn converse(mut command: Command, values: &str, greeting: &str) {
    let directory = name::directory();
    let path = directory.path().join("key");
    std::fs::write(&path, "").unwrap();
    let (key, own) = (crate::key(), crate::key());
    let queue = RemoveOnDrop::new(MessageQueue::create(key).unwrap());
    let set = RemoveOnDrop::new(SemaphoreSet::create(key, &[0, 0]).unwrap());
    let segment = RemoveOnDrop::new(Segment::create(key, 4096).unwrap());
    let memory = segment.attach().unwrap();
    memory.write_at(0, b"hello").unwrap();
    queue.send(MessageType::new(2).unwrap(), b"ours").unwrap();

    let keys = [key, own].map(|key| key.number().to_string());
    let mut other = Peer::start(command.args(keys).arg(&path));
    other.expect(&KeyFile::open(&path, b'a').unwrap().key().number().to_string());
    let mut buffer = MessageBuffer::new();
    let answer = queue.recv(Select::Type(MessageType::new(3).unwrap()), &mut buffer).unwrap();
    assert_eq!(answer.body(), b"OURS");
    other.expect(values);
    assert_eq!(set.values().unwrap().iter().map(u16::to_string).collect::<Vec<_>>().join(" "), values);
    other.expect("made");
    let mut text = [0; 5];
    memory.read_at(8, &mut text).unwrap();
    assert_eq!(&text, b"HELLO");

    let queue = RemoveOnDrop::new(MessageQueue::open(own).unwrap());
    let message = queue.recv(Select::Any, &mut buffer).unwrap();
    assert_eq!((message.kind().get(), message.body()), (7, greeting.as_bytes()));
    // Made by semget and SETVAL: no semop yet, and a value; it is taken as initialized.
    let set = RemoveOnDrop::new(patient().open(own).unwrap());
    assert_eq!(set.values().unwrap(), [5]);
    let segment = RemoveOnDrop::new(Segment::open(own).unwrap());
    let mut text = vec![0; greeting.len()];
    segment.attach_read_only().unwrap().read_at(0, &mut text).unwrap();
    assert_eq!(text, greeting.as_bytes());
    other.finish();
}

#[test]
fn perl_shares_all_three() {
    let mut perl = Command::new("perl");
    let modules = ["-MIPC::SysV", "-MIPC::Msg", "-MIPC::SharedMem", "-e", "1"];
    if !perl.args(modules).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        skip!("no Perl with IPC::SysV");
    }
    let mut perl = Command::new("perl");
    perl.args(["-e", PERL]);
    converse(perl, "0 2", "from perl");
    proof!("interop", "Perl's IPC::SysV: key, queue, set and segment, ours there and theirs here");
}

#[test]
fn python_shares_all_three() {
    let Some(interpreter) = python() else {
        skip!("no Python, or sysv_ipc is not to be had from PyPI");
    };
    let mut python = Command::new(interpreter);
    python.args(["-c", PYTHON]);
    converse(python, "2 0", "from python");
    proof!("interop", "Python's sysv_ipc: key, queue, set and segment, ours there and theirs here");
}

/// The interpreter of a virtual environment with sysv_ipc, made at the first time.
fn python() -> Option<PathBuf> {
    let environment = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("python");
    let interpreter = environment.join("bin/python");
    let works = || {
        let import =
            Command::new(&interpreter).args(["-c", "import sysv_ipc"]).stderr(Stdio::null()).status();
        import.is_ok_and(|status| status.success())
    };
    if !works() {
        let quiet =
            |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        let made = quiet(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        let options = ["-m", "pip", "install", "--quiet", "--timeout", "5", "--retries", "1", "sysv_ipc"];
        let installed = made && quiet(Command::new(&interpreter).args(options));
        if !installed || !works() {
            return None;
        }
    }
    Some(interpreter)
}
