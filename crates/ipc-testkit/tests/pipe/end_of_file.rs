//! A9: the end of file reaches every reader, when the last writer goes and not before.

use ipc_pipe::Fifo;
use ipc_testkit::{Peer, name, peer, proof, timed};

#[test]
fn a9_the_last_writer_wakes_every_reader() {
    let mut woken = Vec::new();
    for count in [2, 10, 27, 100] {
        let directory = name::directory();
        let path = directory.path().join("fifo");
        let fifo = Fifo::create(&path).unwrap();
        let reader = fifo.try_reader().unwrap();
        let (writer, second) = (fifo.writer().unwrap(), fifo.writer().unwrap());
        let mut readers: Vec<Peer> =
            (0..count).map(|_| peer!("peer-pipe", "read_to_end", path.display())).collect();
        readers.iter().for_each(|reader| reader.until_asleep_in(libc::SYS_read));
        drop(reader);
        // The control: while one writer is left, nobody wakes.
        drop(writer);
        readers.iter().for_each(|reader| reader.until_asleep_in(libc::SYS_read));
        drop(second);
        let ((), took) = timed(|| readers.iter_mut().for_each(|reader| reader.expect("0")));
        readers.into_iter().for_each(Peer::finish);
        woken.push(format!("{count} in {} ms", took.as_millis()));
    }
    proof!(
        "A9",
        "readers woken by the last writer's going: {}; none while one of two was left",
        woken.join(", ")
    );
}
