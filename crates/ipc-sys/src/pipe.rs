//! Pipes: the calls that libc has without the flags we need.
