//! How many system calls a message takes: both processes run under ptrace, for some messages and then for some more; the
//! difference is the messages'.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use ipc_signal::{Pid, Stop, Tracee};

use crate::cell::{Cell, Kind};
use crate::column::Column;
use crate::pair::{Broken, Pair};

/// Messages between the two looks.
const MESSAGES: u64 = 256;

/// Calls a message, both sides together, rounded to hundredths.
pub(crate) fn calls(cell: &Cell, column: Column) -> Result<f64, Broken> {
    let mut pair = Pair::start(cell, column)?;
    let counters = pair.children().each_ref().map(|child| Counter::start(Pid::of_child(child)));
    let mut count = |messages: u64| {
        // The way to the near side and back takes calls, too: always the same.
        let before = total(&counters);
        pair.time_of(messages)?;
        Ok(total(&counters) - before)
    };
    // The first time may take more: memory is touched, a barrier is registered.
    count(MESSAGES)?;
    let few = count(MESSAGES)?;
    let more = count(2 * MESSAGES)?;
    pair.end();
    counters.into_iter().for_each(Counter::end);
    let warmer = crate::end::warm(2 * MESSAGES) - crate::end::warm(MESSAGES);
    let messages = (MESSAGES + warmer) * if cell.kind == Kind::Latency { 2 } else { 1 };
    let calls = more.saturating_sub(few) as f64 / messages as f64;
    Ok((calls * 100.0).round() / 100.0)
}

fn total(counters: &[Counter; 2]) -> u64 {
    counters.iter().map(|counter| counter.calls.load(Ordering::Acquire)).sum()
}

/// A thread that traces one process.
struct Counter {
    calls: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Counter {
    fn start(process: Pid) -> Self {
        let calls = Arc::new(AtomicU64::new(0));
        let (counting, (ready, started)) = (calls.clone(), std::sync::mpsc::channel());
        let thread = thread::spawn(move || {
            let mut tracee = Tracee::attach(process).unwrap();
            tracee.resume_to_syscall(None).unwrap();
            ready.send(()).unwrap();
            loop {
                let pass_on = match tracee.next_stop() {
                    Ok(Stop::SyscallEntry { .. }) => {
                        counting.fetch_add(1, Ordering::AcqRel);
                        None
                    }
                    Ok(Stop::Signal(info)) => Some(info.signal()),
                    Ok(Stop::End(_)) | Err(_) => break,
                    Ok(_) => None,
                };
                if tracee.resume_to_syscall(pass_on).is_err() {
                    break;
                }
            }
        });
        started.recv().unwrap();
        Self { calls, thread }
    }

    /// The process is dead: so ends its trace.
    fn end(self) {
        let _ = self.thread.join();
    }
}
