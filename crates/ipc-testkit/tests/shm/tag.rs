//! Two types of the same size and alignment, told apart by the user's tag.

use std::os::fd::OwnedFd;

use ipc_shm::{
    ChannelOptions, Error, Invitation, MemoryOptions, Refusal, Sealed, Tag, Unattached, broadcast, bytes,
    latest, spsc,
};
use ipc_testkit::peer;

use crate::memory::Name;

fn refusal<T>(result: ipc_shm::Result<T>) -> Refusal {
    match result {
        Err(Error::Refused { reason, .. }) => reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("not refused"),
    }
}

fn opener(kind: &str, name: &str, tag: &str) -> String {
    let mut peer = peer!("peer-shm", "tag-opener", kind, name, tag);
    let said = peer.hear();
    peer.finish();
    said
}

#[test]
fn f13_another_tag_is_refused_by_name() {
    let [one, two, three, four] = ["spsc", "bytes", "latest", "broadcast"].map(Name::new);
    let options = |capacity| ChannelOptions::new(capacity).tag("metres");
    let _one = spsc::Sender::<u64>::create(&one.0, options(16)).unwrap();
    let _two = bytes::Sender::create(&two.0, options(1024)).unwrap();
    let memory = MemoryOptions::new().tag("metres");
    let _three = latest::Writer::<u64>::create_with(&three.0, &memory).unwrap();
    let _four = broadcast::Writer::<u64>::create(&four.0, options(16)).unwrap();
    for (kind, name) in [("spsc", &one), ("bytes", &two), ("latest", &three), ("broadcast", &four)] {
        let said = opener(kind, &name.0, "feet");
        assert!(said.contains("was made with the tag"), "{kind}: {said}");
        assert_eq!(opener(kind, &name.0, "metres"), "opened", "{kind}");
        assert_eq!(ipc_shm::stat(&name.0).unwrap().tag, Tag::of("metres"));
    }
    let tags = Refusal::Tag { found: Tag::of("metres"), wanted: Tag::default() };
    assert_eq!(refusal(spsc::Receiver::<u64>::open(&one.0)), tags);
    assert_eq!(refusal(latest::Writer::<u64>::open_or_replace(&three.0)), tags);
    // A number is a tag, too, and the type comes first.
    let seven = MemoryOptions::new().tag(7);
    let tags = Refusal::Tag { found: Tag::of("metres"), wanted: 7.into() };
    assert_eq!(refusal(spsc::Receiver::<u64>::open_with(&one.0, &seven)), tags);
    assert_eq!(refusal(spsc::Receiver::<u32>::open_with(&one.0, &seven)), Refusal::Type);
}

#[test]
fn f13_another_tag_is_refused_on_arrival() {
    type Sender = spsc::Sender<u64, Sealed>;
    type Receiver = spsc::Receiver<u64, Sealed>;
    let options = || ChannelOptions::new(16).tag(7);
    let travelled = |invitation: Invitation<Receiver>| {
        Invitation::<Receiver>::try_from(Vec::<OwnedFd>::from(invitation)).unwrap()
    };
    let (_offer, invitation) = Sender::offer(options()).unwrap();
    assert!(matches!(refusal(travelled(invitation).accept()), Refusal::Tag { .. }));
    let (offer, invitation) = Sender::offer(options()).unwrap();
    let (mut receiver, acceptance) = travelled(invitation).tag(7).accept().unwrap();
    let mut sender = offer.complete(acceptance).unwrap();
    sender.send(&1).unwrap();
    assert_eq!(receiver.recv().unwrap(), 1);

    // One who accepts another offer than was made.
    let (offer, _) = Sender::offer(options()).unwrap();
    let (_other, invitation) = Sender::offer(ChannelOptions::new(16).tag(8)).unwrap();
    let (_, acceptance) = travelled(invitation).tag(8).accept().unwrap();
    assert!(matches!(refusal(offer.complete(acceptance)), Refusal::Tag { .. }));

    let (sender, receiver) = spsc::channel::<u64>(options()).unwrap();
    let receiver = Unattached::<spsc::Receiver<u64>>::try_from(Vec::<OwnedFd>::from(receiver)).unwrap();
    assert!(matches!(refusal(receiver.attach()), Refusal::Tag { .. }));
    sender.attach().unwrap();

    let options = MemoryOptions::new().tag(7);
    let writer = latest::Writer::<u64, Sealed>::anonymous_with(&options).unwrap();
    let other = latest::Reader::<u64, Sealed>::from_fd(writer.share().unwrap());
    assert!(matches!(refusal(other), Refusal::Tag { .. }));
    latest::Reader::<u64, Sealed>::from_fd_with(writer.share().unwrap(), &options).unwrap();
}
