"""An IRC client of our own, for what is no chat client: one nick on one server, and OTR on it."""
