//! The other libraries of this process: signal-hook and tokio, over and under our handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ipc_signal::{
    Disposition, MaskGuard, Pid, Signal, SignalFd, SignalStream, Value, disposition, on, queue, raise,
};
use ipc_testkit::role::{self, say};
use tokio::signal::unix::{SignalKind, signal};

/// Says `ok`.
pub(crate) fn others(_: &[String]) -> role::Result {
    let value = Signal::from_number(40)?;
    let _blocked = MaskGuard::block(value)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        under(Signal::USR1).await?;
        over(Signal::USR2)?;
        // A real-time signal's value, beside tokio's own signals, which have none.
        let stream = SignalStream::new(SignalFd::new(value)?)?;
        queue(Pid::own(), value, 11)?;
        assert_eq!(stream.recv().await?.value().map(Value::as_i32), Some(11));
        role::Result::Ok(())
    })?;
    say("ok")
}

/// They were here first: all see the signal, and they keep it when we go.
async fn under(which: Signal) -> role::Result {
    let flag = Arc::new(AtomicBool::new(false));
    let hook = signal_hook::flag::register(which.number(), Arc::clone(&flag))?;
    let mut stream = signal(SignalKind::from_raw(which.number()))?;
    let ours = Arc::new(AtomicU64::new(0));
    let registration = on(which, &ours)?;
    raise(which)?;
    assert!(flag.swap(false, Ordering::SeqCst) && stream.recv().await.is_some());
    assert_eq!(ours.load(Ordering::SeqCst), 1);
    drop(registration);
    assert_eq!(disposition(which)?, Disposition::Foreign);
    raise(which)?;
    assert!(flag.load(Ordering::SeqCst) && stream.recv().await.is_some());
    assert_eq!(ours.load(Ordering::SeqCst), 1);
    assert!(signal_hook::low_level::unregister(hook));
    Ok(())
}

/// We were here first: all see the signal; we may go and come again underneath.
fn over(which: Signal) -> role::Result {
    let ours = Arc::new(AtomicU64::new(0));
    let registration = on(which, &ours)?;
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(which.number(), Arc::clone(&flag))?;
    let meet = |expected: u64| -> role::Result {
        raise(which)?;
        assert!(flag.swap(false, Ordering::SeqCst));
        assert_eq!(ours.load(Ordering::SeqCst), expected);
        Ok(())
    };
    meet(1)?;
    drop(registration);
    meet(1)?;
    let again = on(which, &ours)?;
    meet(2)?;
    drop(again);
    meet(2)
}
