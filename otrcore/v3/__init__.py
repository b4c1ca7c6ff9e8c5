"""OTR version 3: its key exchange, its key rotation, its data messages."""
