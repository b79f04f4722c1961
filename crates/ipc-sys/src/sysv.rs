//! System V IPC: the calls, structures and commands that nix lacks and libc has only in part.
