//! Named pipes, one each way, in the directory for temporary files; the near side makes and removes them.

use std::os::fd::OwnedFd;

use ipc_pipe::Fifo as Named;

use crate::cell::{Cell, Cores, Wait};
use crate::end::Side;
use crate::mechanism::pipe::{Ours, Raw};
use crate::mechanism::{BLOCKS, Mechanism};
use crate::meet::Meet;

pub(crate) struct Fifo;

impl Mechanism for Fifo {
    fn name(&self) -> &'static str {
        "fifo"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [reader, writer] = ends(meet);
        Box::new(Ours { reader: reader.into(), writer: writer.into(), message: vec![0; cell.words()] })
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [reader, writer] = ends(meet);
        Box::new(Raw { reader, writer, message: vec![0; cell.words()] })
    }
}

/// Each open waits for the other side's; then the names are not needed any more.
fn ends(meet: &mut Meet) -> [OwnedFd; 2] {
    let [near] = meet.numbers(|| [std::process::id().into()]);
    let path = |way: &str| std::env::temp_dir().join(format!("ipc-bench-{near}-{way}"));
    if meet.is_near() {
        let guards = ["to", "back"].map(|way| Named::create(path(way)).unwrap().unlink_on_drop());
        meet.together();
        let writer = Named::open(path("to")).unwrap().writer().unwrap();
        let reader = Named::open(path("back")).unwrap().reader().unwrap();
        drop(guards);
        [reader.into(), writer.into()]
    } else {
        meet.together();
        let reader = Named::open(path("to")).unwrap().reader().unwrap();
        let writer = Named::open(path("back")).unwrap().writer().unwrap();
        [reader.into(), writer.into()]
    }
}
