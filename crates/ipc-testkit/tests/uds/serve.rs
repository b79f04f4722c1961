//! A server and many clients, some of which die.

use ipc_testkit::{Peer, peer, proof};

use crate::Place;

#[test]
fn g3_sixteen_of_64_clients_killed_in_mid_line_harm_nobody() {
    const LEN: usize = 5000;
    let place = Place::new();
    let path = place.path("s");
    let mut server = peer!("peer-uds", "upper", path.display(), 64);
    server.expect("listening");
    let mut clients: Vec<Peer> = (0..64).map(|_| peer!("peer-uds", "asker", path.display(), LEN)).collect();
    for client in &mut clients {
        client.expect("half");
    }
    for victim in clients.iter_mut().step_by(4) {
        victim.kill();
    }
    let mut exact = 0;
    for client in clients.iter_mut().enumerate().filter(|(at, _)| at % 4 != 0).map(|(_, client)| client) {
        client.tell("go on");
    }
    for client in clients.iter_mut().enumerate().filter(|(at, _)| at % 4 != 0).map(|(_, client)| client) {
        client.expect("true");
        exact += 1;
    }
    drop(clients);
    server.expect("64");
    server.tell("end");
    server.finish();
    assert_eq!(place.names(), [""; 0]);
    proof!("G3", "64 clients, 16 killed in mid-line, {exact} answers byte for byte");
}
