//! Whether the other side is there, not yet there, or gone.
//!
//! It says goodbye in its state word. Killed, it cannot: the kernel drops its lock, and makes its pidfd readable where the
//! caller has one. Asking costs a system call, so that is done every 60 ms.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use ipc_sys::errno;
use ipc_sys::memory::coarse_millis;
use ipc_sys::signal::kill_pidfd;

use crate::channel::Socket;
use crate::channel::doorbell::LOOK;
use crate::channel::fd::has_exited;
use crate::channel::link::{ATTACHED, LEFT, Side};
use crate::memory::mode::TRUSTED;
use crate::memory::view::View;
use crate::words::{Words, peer_load};
use crate::{Error, Result};

/// How often the kernel is asked, in milliseconds.
pub(crate) const LOOK_MILLIS: u64 = LOOK.as_secs() * 1000 + LOOK.subsec_millis() as u64;

/// One side as the other sees it: there, not yet there, or gone.
#[derive(Debug)]
pub(crate) struct Watch {
    side: Side,
    /// Whether it is known to have been there: it made the memory that we received, under its lock.
    came: bool,
    /// When we last asked the kernel whether it lives, in milliseconds.
    looked: u64,
    /// What the kernel said.
    dead: bool,
    /// The pidfd of that side, where the caller has one.
    process: Option<Arc<OwnedFd>>,
}

impl Watch {
    pub(crate) fn new(side: Side, view: &View) -> Self {
        let came = view.segment().layout().mode != TRUSTED;
        Self { side, came, looked: coarse_millis(), dead: false, process: None }
    }

    /// Whether the side that writes `view` is gone; the kernel is asked every [`LOOK_MILLIS`]. One that has not come yet is not
    /// gone.
    ///
    /// # Errors
    /// [`Error::Disconnected`].
    pub(crate) fn look(&mut self, view: &View) -> Result<()> {
        let state = peer_load(view.word(self.side.state()));
        if state & LEFT != 0 {
            return Err(Error::Disconnected);
        }
        let now = coarse_millis();
        if (self.came || state & ATTACHED != 0) && (self.dead || now.wrapping_sub(self.looked) >= LOOK_MILLIS)
        {
            self.looked = now;
            self.dead =
                self.process.as_ref().is_some_and(has_exited) || !view.segment().is_held(self.side.lock())?;
            if self.dead {
                return Err(Error::Disconnected);
            }
        }
        Ok(())
    }

    /// Looks at this process too, from now on, and polls it beside the socket.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] where this is no pidfd.
    pub(crate) fn watch(&mut self, process: OwnedFd, socket: Option<&Arc<Socket>>) -> Result<()> {
        // Signal 0 is sent to nobody; whether we may, and whether the process lives, does not matter.
        if kill_pidfd(&process, 0).is_err_and(|error| errno::is(&error, libc::EBADF)) {
            return Err(Error::InvalidParameter {
                what: "what is watched",
                value: u64::from(process.as_raw_fd().unsigned_abs()),
                reason: "the descriptor is no pidfd",
            });
        }
        let process = Arc::new(process);
        if let Some(socket) = socket {
            socket.watch(process.clone());
        }
        self.process = Some(process);
        // Whether it has exited by now is asked at the next look.
        self.looked = 0;
        Ok(())
    }

    /// Whether that side said goodbye, rather than dying.
    pub(crate) fn has_left(&self, view: &View) -> bool {
        peer_load(view.word(self.side.state())) & LEFT != 0
    }
}
