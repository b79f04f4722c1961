//! A4: what another user has put under our name is refused and left alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ipc_pipe::{Error, Fifo, FifoOptions, Owner};
use ipc_testkit::{name, peer, proof, skip};

/// The sysctl files, with what stood in them, which is put back.
struct Protection(Vec<(String, String)>);

impl Protection {
    /// `None` where they cannot be changed.
    fn set(value: &str) -> Option<Self> {
        let files = ["fifos", "symlinks", "regular"].map(|name| format!("/proc/sys/fs/protected_{name}"));
        let before = files.map(|file| (fs::read_to_string(&file).unwrap_or_default(), file));
        let before = Self(before.map(|(text, file)| (file, text)).into());
        before.0.iter().all(|(file, _)| fs::write(file, value).is_ok()).then_some(before)
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        for (file, before) in &self.0 {
            let _ = fs::write(file, before);
        }
    }
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn a4_another_user_s_node_is_refused_and_untouched() {
    if !is_root() {
        skip!("another user's files need root");
    }
    let mut settings = Vec::new();
    let mut misled = 0;
    for protected in ["0", "1"] {
        let Some(_protection) = Protection::set(protected) else { continue };
        settings.push(protected);
        let directory = name::directory();
        let path = |name: &str| directory.path().join(name);
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::write(path("target"), "secret").unwrap();
        let mut planter = peer!("peer-pipe", "plants", directory.path().display(), path("target").display());
        planter.expect("planted");

        for (name, found) in [
            ("symlink", "a symbolic link"),
            ("file", "a regular file"),
            ("directory", "a directory"),
            ("socket", "a socket"),
        ] {
            let is_refused =
                |result| matches!(result, Err(Error::NotFifo { found: what, .. }) if what == found);
            assert!(is_refused(Fifo::open(path(name))), "{name}");
            assert!(is_refused(Fifo::open_or_create(path(name)).map(|(fifo, _)| fifo)), "{name}");
            assert!(matches!(Fifo::create(path(name)), Err(Error::Exists { .. })), "{name}");
        }
        let is_foreign = |result| matches!(result, Err(Error::ForeignOwner { uid: 65534, .. }));
        assert!(is_foreign(Fifo::open(path("fifo"))));
        assert!(is_foreign(Fifo::open_or_create(path("fifo")).map(|(fifo, _)| fifo)));
        // Who asks for it gets it.
        for owner in [Owner::Anybody, Owner::User(65534)] {
            FifoOptions::new().owner(owner).open(path("fifo")).unwrap();
        }
        assert!(is_foreign(FifoOptions::new().owner(Owner::User(1)).open(path("fifo"))));
        planter.tell("look");
        planter.expect("true");
        planter.finish();
        assert_eq!(fs::read_to_string(path("target")).unwrap(), "secret");
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "theirs");
        // The naive twin: open for writing, whatever stands there.
        for name in ["symlink", "file"] {
            misled += usize::from(fs::write(path(name), "leaked").is_ok());
        }
    }
    assert!(misled > 0, "the twin was not misled");
    proof!(
        "A4",
        "5 kinds of node refused with protected_* in {settings:?}; twin (open and write) misled {misled} times"
    );
}

#[test]
fn a4_a_stranger_is_kept_out() {
    if !is_root() {
        skip!("another user's files need root");
    }
    let directory = name::directory();
    let path = |name: &str| directory.path().join(name);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(path("closed")).unwrap();
    fs::set_permissions(path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    Fifo::create(path("fifo")).unwrap();
    Fifo::create(path("write-only")).unwrap();
    fs::set_permissions(path("write-only"), fs::Permissions::from_mode(0o622)).unwrap();
    let shown = |name| path(name).display().to_string();
    let mut stranger = peer!("peer-pipe", "stranger", shown("fifo"), shown("closed"), shown("write-only"));
    stranger.expect("kept out");
    stranger.finish();
}

#[test]
fn a4_a_file_system_that_is_full_or_read_only_is_told() {
    if !is_root() {
        skip!("a mount of our own needs root");
    }
    let directory = name::directory();
    let mut peer = peer!("peer-pipe", "full_and_read_only", directory.path().display());
    peer.expect("refused");
    peer.finish();
}
