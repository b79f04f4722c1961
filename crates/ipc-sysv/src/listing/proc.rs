//! `/proc/sysvipc/{sem,msg,shm}`: a line per object, in decimal but for the mode. It lacks a queue's msg_qbytes.

use std::fs;
use std::io;

use ipc_sys::sysv::Permissions;
use ipc_sys::sysv::queue::QueueStatus;
use ipc_sys::sysv::segment::SegmentStatus;
use ipc_sys::sysv::semaphore::SemaphoreStatus;

use crate::object::Kind;

/// All lines that `parse` understands, but for the heading.
pub(super) fn list<T>(kind: Kind, parse: impl Fn(&str) -> Option<T>) -> io::Result<Vec<T>> {
    let name = match kind {
        Kind::SemaphoreSet => "sem",
        Kind::MessageQueue => "msg",
        Kind::Segment => "shm",
    };
    let text = fs::read_to_string(format!("/proc/sysvipc/{name}"))?;
    Ok(text.lines().skip(1).filter_map(parse).collect())
}

/// key semid perms nsems uid gid cuid cgid otime ctime
pub(super) fn semaphores(line: &str) -> Option<(i32, SemaphoreStatus)> {
    let mut fields = Fields(line.split_ascii_whitespace());
    let (id, mut permissions) = fields.head()?;
    let mut status = SemaphoreStatus::default();
    status.len = fields.next()?;
    fields.owners(&mut permissions)?;
    status.permissions = permissions;
    status.operated = fields.next()?;
    status.changed = fields.next()?;
    Some((id, status))
}

/// key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime
pub(super) fn queue(line: &str) -> Option<(i32, QueueStatus)> {
    let mut fields = Fields(line.split_ascii_whitespace());
    let (id, mut permissions) = fields.head()?;
    let mut status = QueueStatus::default();
    status.bytes = fields.next()?;
    status.messages = fields.next()?;
    status.last_sender = fields.next()?;
    status.last_receiver = fields.next()?;
    fields.owners(&mut permissions)?;
    status.permissions = permissions;
    status.sent = fields.next()?;
    status.received = fields.next()?;
    status.changed = fields.next()?;
    Some((id, status))
}

/// key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap
pub(super) fn segment(line: &str) -> Option<(i32, SegmentStatus)> {
    let mut fields = Fields(line.split_ascii_whitespace());
    let (id, mut permissions) = fields.head()?;
    let mut status = SegmentStatus::default();
    status.len = fields.next()?;
    status.creator = fields.next()?;
    status.last_operator = fields.next()?;
    status.attached = fields.next()?;
    fields.owners(&mut permissions)?;
    status.permissions = permissions;
    status.attached_at = fields.next()?;
    status.detached_at = fields.next()?;
    status.changed = fields.next()?;
    Some((id, status))
}

struct Fields<'a>(std::str::SplitAsciiWhitespace<'a>);

impl Fields<'_> {
    fn next<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    /// key id perms
    fn head(&mut self) -> Option<(i32, Permissions)> {
        let mut permissions = Permissions::default();
        permissions.key = self.next()?;
        let id = self.next()?;
        permissions.mode = u32::from_str_radix(self.0.next()?, 8).ok()?;
        Some((id, permissions))
    }

    /// uid gid cuid cgid
    fn owners(&mut self, permissions: &mut Permissions) -> Option<()> {
        permissions.uid = self.next()?;
        permissions.gid = self.next()?;
        permissions.creator_uid = self.next()?;
        permissions.creator_gid = self.next()?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, MessageQueue, RemoveOnDrop, Segment, SemaphoreSet};

    /// What the file says of an object is what IPC_STAT says, in every field that it has.
    #[test]
    fn the_file_agrees_with_the_call() {
        let set = RemoveOnDrop::new(SemaphoreSet::create(Key::PRIVATE, &[1, 2]).unwrap());
        let queue = RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE).unwrap());
        let segment = RemoveOnDrop::new(Segment::create(Key::PRIVATE, 5000).unwrap());
        queue.send(crate::MessageType::ONE, b"12345").unwrap();
        let _attached = segment.attach().unwrap();

        let listed = list(Kind::SemaphoreSet, super::semaphores).unwrap();
        let (id, raw) = listed.into_iter().find(|(id, _)| *id == set.id()).unwrap();
        assert_eq!(crate::SemaphoreStat::new(id, &raw), set.stat().unwrap());

        let listed = list(Kind::MessageQueue, super::queue).unwrap();
        let (id, raw) = listed.into_iter().find(|(id, _)| *id == queue.id()).unwrap();
        let expected = crate::QueueStat { max_bytes: 0, ..queue.stat().unwrap() };
        assert_eq!(crate::QueueStat::new(id, &raw), expected);

        let listed = list(Kind::Segment, super::segment).unwrap();
        let (id, raw) = listed.into_iter().find(|(id, _)| *id == segment.id()).unwrap();
        assert_eq!(crate::SegmentStat::new(id, &raw), segment.stat().unwrap());
    }
}
