//! Unix domain sockets for Linux: safe bind and takeover, peer credentials, servers for many clients.
