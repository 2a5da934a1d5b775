"""Who we are, who the peer is, and how either proves it (RFC 7296 2.15, RFC 7427, RFC 7619)."""
