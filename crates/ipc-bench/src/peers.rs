//! The rivals, a file each.
