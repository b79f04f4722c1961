//! Signals in tokio's tasks.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;
use ipc_signal::{MaskGuard, Pid, Shutdown, Signal, SignalFd, SignalStream, Value, queue};
use ipc_testkit::role::{self, say};

/// `tasks`: a stream polled by hand, then two tasks that wait to be asked. Says `ready` when they sleep, and `asked` with the
/// signal.
pub(crate) fn tasks(_: &[String]) -> role::Result {
    let value = Signal::from_number(40)?;
    let _blocked = MaskGuard::block(value)?;
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
        stream(value).await?;
        let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
        let waiting = [shutdown.clone(), shutdown.clone()]
            .map(|shutdown| tokio::spawn(async move { shutdown.asked_async().await }));
        // One turn for each: they have registered, and nobody has asked.
        tokio::task::yield_now().await;
        assert!(waiting.iter().all(|task| !task.is_finished()) && !shutdown.asked());
        say("ready")?;
        for task in waiting {
            task.await??;
        }
        // Asked already, nobody waits any more.
        shutdown.asked_async().await?;
        say(format_args!("asked {:?}", shutdown.signal()))
    })
}

/// `poll_next` is pending while nothing is, wakes who polled it, and gives out all that came, in order.
async fn stream(signal: Signal) -> role::Result {
    struct Woken(AtomicU64);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let mut stream = SignalStream::new(SignalFd::new(signal)?)?;
    let woken = Arc::new(Woken(AtomicU64::new(0)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut next = || Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker));
    // Drained, it sleeps and wakes as at first.
    for _ in 0..2 {
        assert!(next().is_pending());
        (1..=3).try_for_each(|value| queue(Pid::own(), signal, value))?;
        // The reactor looks when the task gives way.
        while woken.0.swap(0, Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        for expected in 1..=3 {
            let Poll::Ready(Some(info)) = next() else {
                return Err("the stream has not woken for what is there".into());
            };
            assert_eq!(info?.value().map(Value::as_i32), Some(expected));
        }
    }
    assert!(next().is_pending());
    Ok(())
}
