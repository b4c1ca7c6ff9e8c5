"""Bytes and text lines to frozen values, and back; no state, no secrets, no decisions."""
