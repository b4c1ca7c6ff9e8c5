"""Randomness, asked for by purpose, so that a recorded conversation replays whatever the order of draws."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Literal

Purpose = Literal["dh", "r", "instance_tag", "smp", "ecdh", "ed448", "ring", "fragment"]

Random = Callable[[Purpose, int], bytes]
"""Given a purpose and a number of bytes, returns that many unpredictable ones."""


def system_random(purpose: Purpose, count: int) -> bytes:
    """Return bytes of the operating system, whatever the purpose."""
    return secrets.token_bytes(count)
