//! To and from the ends of a pipe that std has since Rust 1.87.

use std::os::fd::OwnedFd;

use crate::{PipeEnd, PipeReader, PipeWriter};

impl PipeEnd for std::io::PipeReader {}
impl PipeEnd for std::io::PipeWriter {}

impl From<std::io::PipeReader> for PipeReader {
    fn from(reader: std::io::PipeReader) -> Self {
        OwnedFd::from(reader).into()
    }
}

impl From<PipeReader> for std::io::PipeReader {
    fn from(reader: PipeReader) -> Self {
        OwnedFd::from(reader).into()
    }
}

impl From<std::io::PipeWriter> for PipeWriter {
    fn from(writer: std::io::PipeWriter) -> Self {
        OwnedFd::from(writer).into()
    }
}

impl From<PipeWriter> for std::io::PipeWriter {
    fn from(writer: PipeWriter) -> Self {
        OwnedFd::from(writer).into()
    }
}
