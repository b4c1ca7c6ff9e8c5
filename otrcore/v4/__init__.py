"""OTR version 4: key exchange, double ratchet, data messages, and what it brings to SMP."""
