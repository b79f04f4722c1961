//! G8: addresses of every length and kind.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use ipc_uds::{Address, Datagram, Error, Listener, Socket, Stream};

/// A directory that is removed with all that is in it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ipc-uds-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// A path of exactly `len` bytes in it, in components of at most `most` bytes.
    fn path_of(&self, len: usize, most: usize) -> PathBuf {
        let mut path = self.0.clone();
        while path.as_os_str().len() + 1 + most < len {
            // Leave room for a slash and at least one byte.
            let left = len - path.as_os_str().len() - 3;
            path.push("d".repeat(most.min(left)));
        }
        fs::create_dir_all(&path).unwrap();
        let path = path.join("s".repeat(len - path.as_os_str().len() - 1));
        assert_eq!(path.as_os_str().len(), len);
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn converse(address: impl Into<Address>) {
    let address = address.into();
    let listener: Listener = Listener::bind(&address).unwrap();
    let mut client = Stream::connect(&address).unwrap();
    client.write_all(b"x").unwrap();
    let mut byte = [0];
    listener.accept().unwrap().read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
    // Of an abstract name, each type of socket has its own.
    let other = Datagram::unbound().unwrap().connect(&address).unwrap_err();
    assert_eq!(matches!(other, Error::WrongType { .. }), address.as_path().is_some(), "{other}");
}

#[test]
fn g8_paths_of_every_length() {
    let directory = Directory::new("lengths");
    for (len, most) in [(106, 50), (107, 50), (108, 50), (109, 50), (200, 50), (1000, 200), (4000, 255)] {
        let path = directory.path_of(len, most);
        converse(&path);
        assert!(!path.exists(), "{len}");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
    }
}

#[test]
fn g8_a_last_component_of_every_length() {
    let directory = Directory::new("components");
    for len in [1, 80, 90, 100, 200, 255] {
        let path = directory.0.join("n".repeat(len));
        converse(&path);
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0, "{len}");
    }
    let too_long = directory.0.join("n".repeat(256));
    let error = Listener::<Stream>::bind(&too_long).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENAMETOOLONG));
    assert_eq!(Stream::connect(&too_long).unwrap_err().errno(), Some(libc::ENAMETOOLONG));
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0);
}

#[test]
fn g8_a_taken_name_of_any_length_is_in_use() {
    let directory = Directory::new("taken");
    for len in [10, 100, 240] {
        let path = directory.0.join("n".repeat(len));
        let _listener: Listener = Listener::bind(&path).unwrap();
        assert!(matches!(Listener::<Stream>::bind(&path), Err(Error::AddressInUse { .. })), "{len}");
    }
}

#[test]
fn g8_a_short_path_is_what_the_kernel_tells() {
    let directory = Directory::new("tells");
    let path = directory.0.join("s");
    let listener: Listener = Listener::bind(&path).unwrap();
    assert_eq!(listener.local_address().unwrap(), Address::path(&path));
    let client = Stream::connect(&path).unwrap();
    assert_eq!(client.peer_address().unwrap(), Address::path(&path));
    assert!(client.local_address().unwrap().is_unnamed());
    let named = Stream::connect_from(directory.0.join("c"), &path).unwrap();
    drop(listener.accept().unwrap());
    assert_eq!(listener.accept().unwrap().peer_address().unwrap().as_path(), Some(&*directory.0.join("c")));
    drop(named);
    assert!(!directory.0.join("c").exists());
}

#[test]
fn g8_abstract_names_count_every_byte() {
    let name = format!("ipc-uds-{}-abstract", std::process::id());
    let with_nul = format!("{name}\0");
    let first: Listener = Listener::bind(Address::abstract_name(&name)).unwrap();
    let second: Listener = Listener::bind(Address::abstract_name(&with_nul)).unwrap();
    assert_eq!(second.local_address().unwrap().as_abstract_name(), Some(with_nul.as_bytes()));
    assert!(matches!(
        Listener::<Stream>::bind(Address::abstract_name(&name)),
        Err(Error::AddressInUse { .. })
    ));
    drop(first);
    assert!(matches!(Stream::connect(Address::abstract_name(&name)), Err(Error::ConnectionRefused { .. })));
    let longest = format!("{name:x<107}");
    converse(Address::abstract_name(&longest));
    let longer = Listener::<Stream>::bind(Address::abstract_name(longest + "x"));
    assert!(matches!(longer, Err(Error::InvalidAddress { .. })));
}

#[test]
fn g8_the_kernel_chooses_a_name() {
    let first: Listener = Listener::bind(Address::unnamed()).unwrap();
    let second = Datagram::bind(Address::unnamed()).unwrap();
    let (first, second) = (first.local_address().unwrap(), second.local_address().unwrap());
    assert_eq!(first.as_abstract_name().unwrap().len(), 5);
    assert_ne!(first, second);
    let (left, right) = Stream::pair().unwrap();
    assert!(left.local_address().unwrap().is_unnamed() && right.peer_address().unwrap().is_unnamed());
}

#[test]
fn g8_what_cannot_be_a_name_is_refused() {
    for text in ["", "unix:", "a\0b", "unix:/a\0b"] {
        assert!(matches!(text.parse::<Address>(), Err(Error::InvalidAddress { .. })), "{text:?}");
        assert!(matches!(Stream::connect(text), Err(Error::InvalidAddress { .. })), "{text:?}");
        assert!(matches!(Listener::<Stream>::bind(text), Err(Error::InvalidAddress { .. })), "{text:?}");
    }
    for path in ["/", "..", "/tmp/.", "/tmp/"] {
        let error = Listener::<Stream>::bind(Path::new(path)).unwrap_err();
        assert!(matches!(error, Error::NotASocket { .. }), "{path}: {error:?}");
    }
}
