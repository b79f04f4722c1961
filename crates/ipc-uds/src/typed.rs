//! Values instead of bytes: serde's, in postcard's encoding, inside framed messages.

use std::os::fd::OwnedFd;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Ancillary, Error, Framed, Result};

impl<T: Ancillary> Framed<T> {
    /// As [`Framed::send`], of a value.
    ///
    /// # Errors
    /// A value that serde cannot encode → [`Error::Encoding`]; else as [`Framed::send_with`].
    ///
    /// # Examples
    /// ```
    /// use ipc_uds::{Framed, SeqPacket};
    ///
    /// let (ours, theirs) = SeqPacket::pair()?;
    /// let (mut ours, mut theirs) = (Framed::new(ours, 1024, 0)?, Framed::new(theirs, 1024, 0)?);
    /// ours.send_value(&("add", 2_u32, 3_u32))?;
    /// let value: (String, u32, u32) = theirs.recv_value()?.ok_or("the end")?;
    /// assert_eq!(value, ("add".to_owned(), 2, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_value<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<()> {
        self.send(&encode(value)?)
    }

    /// As [`Framed::send_with`], of a value.
    ///
    /// # Errors
    /// As [`Framed::send_value`].
    pub fn send_value_with<V: Serialize + ?Sized>(
        &mut self,
        value: &V,
        descriptors: impl Into<Vec<OwnedFd>>,
    ) -> Result<()> {
        self.send_with(&encode(value)?, descriptors)
    }

    /// As [`Framed::recv`], of a value; descriptors that come with it are closed.
    ///
    /// # Errors
    /// Bytes that are no `V` → [`Error::Encoding`], and the next message can be received; else as [`Framed::recv`].
    pub fn recv_value<V: DeserializeOwned>(&mut self) -> Result<Option<V>> {
        Ok(self.recv_value_with()?.map(|(value, _)| value))
    }

    /// As [`Framed::recv_value`], with the descriptors.
    ///
    /// # Errors
    /// As [`Framed::recv_value`].
    pub fn recv_value_with<V: DeserializeOwned>(&mut self) -> Result<Option<(V, Vec<OwnedFd>)>> {
        let Some(message) = self.recv()? else { return Ok(None) };
        let value = postcard::from_bytes(message.bytes).map_err(failed)?;
        Ok(Some((value, message.descriptors)))
    }
}

fn encode<V: Serialize + ?Sized>(value: &V) -> Result<Vec<u8>> {
    postcard::to_extend(value, Vec::new()).map_err(failed)
}

fn failed(error: postcard::Error) -> Error {
    Error::Encoding { source: Box::new(error) }
}
