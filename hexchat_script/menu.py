"""The menu OTR, and what the menus of nicks and tabs have of it."""

from __future__ import annotations

import hexchat  # type: ignore[import-not-found,unused-ignore]

ASK, COMPARE, ABOUT = "ask", "compare", "about"
"""What `/otr_client` does for menus."""

_MENU = "OT_R"
_ITEMS = (
    ("_Start an encrypted conversation", "otr start"),
    ("_End it, and go on without", "otr end"),
    ("-", ""),
    ("Verify by a _question...", f"otr_client {ASK}"),
    ("Verify by a se_cret...", "otr smp ask"),
    ("_Answer a verification...", "otr smp answer"),
    ("Compare the _fingerprint...", f"otr_client {COMPARE}"),
    ("-", ""),
    ("Fin_gerprints", "otr fingerprints"),
    ("S_tatus", "otr status"),
    ("_Options", "otr set"),
    ("_Help", "otr help"),
)
_OF_NICK = tuple((label, f"otr_client {ABOUT} {label.lower()} %s") for label in ("Start", "End", "Status"))
_OTHERS = ("$NICK/OTR", "$TAB/OTR")


def add_menus() -> None:
    """Put them where they belong; what an addon before this one has left is replaced."""
    remove_menus()
    hexchat.command(f'MENU -p-1 ADD "{_MENU}"')
    for label, command in _ITEMS:
        hexchat.command(f'MENU ADD "{_MENU}/{label}"' + (f' "{command}"' if command else ""))
    for menu in _OTHERS:
        hexchat.command(f'MENU ADD "{menu}"')
        for label, command in _OF_NICK:
            hexchat.command(f'MENU ADD "{menu}/{label}" "{command}"')


def remove_menus() -> None:
    """Take them away."""
    for menu in (_MENU, *_OTHERS):
        hexchat.command(f'MENU DEL "{menu}"')
