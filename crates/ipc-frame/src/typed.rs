//! Values instead of bytes: serde's, in postcard's encoding, one a frame. The encoding carries no types: both sides agree on
//! them, and on their order of fields.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use crate::{Error, FrameReader, FrameWriter, Result};

impl<W: Write> FrameWriter<W> {
    /// As [`FrameWriter::send`], of a value.
    ///
    /// # Errors
    /// [`Error::Encoding`]: serde cannot encode it; else as [`FrameWriter::send`].
    ///
    /// # Examples
    /// ```
    /// use ipc_frame::{FrameReader, FrameWriter};
    ///
    /// # fn main() -> ipc_frame::Result<()> {
    /// let mut stream = Vec::new();
    /// FrameWriter::new(&mut stream, 1024).send_value(&("add", 2_u32, 3_u32))?;
    /// let mut reader = FrameReader::new(stream.as_slice(), 1024);
    /// // What is borrowed points into the reader's buffer.
    /// assert_eq!(reader.recv_value::<(&str, u32, u32)>()?, Some(("add", 2, 3)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let payload = postcard::to_extend(value, Vec::new()).map_err(failed)?;
        self.send(&payload)
    }
}

impl<R: Read> FrameReader<R> {
    /// As [`FrameReader::recv`], of a value, which fills its frame.
    ///
    /// # Errors
    /// [`Error::Encoding`]: the payload is no `T`, or more than one; else as [`FrameReader::recv`].
    pub fn recv_value<'a, T: Deserialize<'a>>(&'a mut self) -> Result<Option<T>> {
        let Some(payload) = self.recv()? else { return Ok(None) };
        match postcard::take_from_bytes(payload).map_err(failed)? {
            (value, []) => Ok(Some(value)),
            (_, rest) => {
                Err(Error::Encoding { source: format!("{} bytes follow the value", rest.len()).into() })
            }
        }
    }
}

fn failed(error: postcard::Error) -> Error {
    Error::Encoding { source: Box::new(error) }
}
