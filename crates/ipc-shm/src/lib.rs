//! Shared memory between Linux processes: memfd and POSIX segments that check what they attach.
