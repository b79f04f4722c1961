//! The futex word: wait and wake across processes, never FUTEX_PRIVATE_FLAG.
