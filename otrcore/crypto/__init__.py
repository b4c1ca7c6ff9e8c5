"""Primitives with the parameters that OTR fixes; no state, no logging, no messages."""
