//! Signals: queueing, waiting and what siginfo holds.
