//! Memory files: memfd seals, allocation and what an attacher must check.
