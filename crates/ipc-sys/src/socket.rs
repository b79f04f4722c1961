//! Unix sockets: addresses, ancillary data and the peer's identity.
