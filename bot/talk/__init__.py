"""Talking with people: what is answered, to whom, and how much."""
