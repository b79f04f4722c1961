//! Streams of bytes for tokio: `AsyncRead` and `AsyncWrite`, by recv(2) and send(2) with MSG_DONTWAIT.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use ipc_sys::socket::{self, message};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Async, Watched};
use crate::Stream;

/// A socket that is a stream of bytes: [`Stream`], and std's `UnixStream` and `TcpStream`. Nobody else implements it.
pub trait ByteStream: Watched + Unpin {}

impl ByteStream for Stream {}
impl ByteStream for UnixStream {}
impl ByteStream for TcpStream {}

impl<T: ByteStream> Async<T> {
    fn poll_read_shared(&self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(context))?;
            let space = buffer.initialize_unfilled();
            match ready.try_io(|held| message::recv(&held.get_ref().0, space, libc::MSG_DONTWAIT)) {
                Ok(Ok(len)) => {
                    self.active.store(true, Ordering::Relaxed);
                    buffer.advance(len);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_wait) => {}
            }
        }
    }

    fn poll_write_shared(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.fd.poll_write_ready(context))?;
            if let Ok(done) = ready.try_io(|held| message::send(&held.get_ref().0, bytes, libc::MSG_DONTWAIT))
            {
                self.active.store(true, Ordering::Relaxed);
                return Poll::Ready(done);
            }
        }
    }
}

impl<T: ByteStream> AsyncRead for &Async<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_shared(context, buffer)
    }
}

impl<T: ByteStream> AsyncWrite for &Async<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_shared(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket::shutdown(self.get_ref(), libc::SHUT_WR))
    }
}

impl<T: ByteStream> AsyncRead for Async<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_shared(context, buffer)
    }
}

impl<T: ByteStream> AsyncWrite for Async<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_shared(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_shutdown(context)
    }
}
