//! Processes: pidfds, wait states and ptrace.
