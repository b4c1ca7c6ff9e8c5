"""Bytes of a message changed at random."""

from __future__ import annotations

from hypothesis import strategies as st


def changed(raw: bytes, data: st.DataObject) -> bytearray:
    """Replace bytes in up to three places by others, of which there may be one more."""
    result = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(result)))
        taken = data.draw(st.integers(0, 4))
        result[at : at + taken] = data.draw(
            st.binary(min_size=taken, max_size=taken + data.draw(st.integers(0, 1)))
        )
    return result
