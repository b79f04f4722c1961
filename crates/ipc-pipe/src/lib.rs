//! Anonymous pipes and FIFOs for Linux: no death by SIGPIPE, atomic records, FIFO opens with a deadline.
