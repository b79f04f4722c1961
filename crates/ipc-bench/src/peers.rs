//! The rivals, a file each. What spins is compared with what spins, what parks with what parks; rivals between the threads of
//! one process are a ceiling.

mod iceoryx;
mod sockets;
mod threads;

use crate::cell::Cell;
use crate::end::Side;
use crate::meet::Meet;

/// Another crate that does what a mechanism of ours does.
pub(crate) trait Peer: Sync {
    /// As in the JSON.
    fn name(&self) -> &'static str;

    /// The package that it comes from; none for std.
    fn package(&self) -> Option<&'static str> {
        Some(self.name())
    }

    /// How it is used.
    fn mode(&self, cell: &Cell) -> String;

    /// Whether it does what this cell is about, in this way of waiting.
    fn fits(&self, cell: &Cell) -> bool;

    /// This process's side.
    fn side(&self, cell: &Cell, meet: &mut Meet, cpus: [usize; 2]) -> Box<dyn Side>;
}

/// Every rival.
pub(crate) const ALL: &[&dyn Peer] = &[
    &iceoryx::Iceoryx,
    &threads::Shmem,
    &threads::Rtrb,
    &threads::Crossbeam,
    &threads::StdMpsc,
    &sockets::StdUnixStream,
    &sockets::TokioUnixStream,
    &sockets::Interprocess,
    &sockets::IpcChannel,
];

/// The places of those that fit.
pub(crate) fn of(cell: &Cell) -> impl Iterator<Item = usize> {
    (0..ALL.len()).filter(|index| ALL[*index].fits(cell))
}

pub(crate) fn named(name: &str) -> Option<usize> {
    ALL.iter().position(|peer| peer.name() == name)
}

/// The version that Cargo.lock has, or the compiler's.
pub(crate) fn version(peer: &dyn Peer) -> String {
    const LOCK: &str = include_str!("../../../Cargo.lock");
    let Some(package) = peer.package() else { return "std".to_owned() };
    let entry =
        LOCK.split("[[package]]").filter(|entry| entry.contains(&format!("\nname = \"{package}\"\n")));
    let versions = entry.filter_map(|entry| entry.split_once("version = \"")?.1.split_once('"'));
    versions.map(|(version, _)| version.to_owned()).last().unwrap_or_default()
}
