"""hexchat-otr, the plugin in C: beside it nobody can tell who of the two encrypts what."""

from __future__ import annotations

from contextlib import suppress

EVERY = 5.0
"""Seconds between two looks."""

TOLD = (
    "hexchat-otr is loaded, and so this OTR stands aside: type  /unload otr.so  to use this one, "
    "or  otr uninstall hexchat  in a terminal to keep to the other."
)
BACK = "hexchat-otr is not loaded any more: this OTR takes over."


def is_loaded() -> bool:
    """Whether the library is in this process; where the system does not tell, it is not."""
    with suppress(OSError), open("/proc/self/maps", "rb") as maps:
        return any(line.lower().endswith(b"/otr.so\n") for line in maps)
    return False
