"""Drills with texts that are well encrypted and that not every client takes well."""

from __future__ import annotations

from otrcore.conversation import Conversation
from otrcore.events import Event
from otrcore.wire.tlv import Tlv

from .altered import said
from .inside import sealed
from .play import Step, always, play
from .stage import Drill, Stage

CRLF = "first line\r\nsecond line\rthird line\nPRIVMSG nobody :a command"
BEFORE_NUL = "The text ends here."
BEHIND_NUL = Tlv(0x6869, b" is what stands behind the NUL")
"""A record that begins with the letters "hi", and so reads on as a text."""
HTML = (
    '<b>bold</b>, <a href="https://irc.example.org/">a link</a>, &lt;&amp;&gt;, <img src=x onerror=alert(1)>'
)
BIDI = "a file called \u202egpj.exe\u202c, \u2067some\u2069 text, and an end"
LONG_BYTES = 4000


def long_text() -> str:
    """Return numbered words, so that whatever is missing is seen."""
    words = ("long", *(f"{number:04}" for number in range(LONG_BYTES)))
    text = " ".join(words)[: LONG_BYTES - 4]
    return f"{text} end"


def _says(text: str) -> Step:
    return lambda talk: said(talk, text)


def _with_nul(talk: Conversation) -> list[Event]:
    return [sealed(talk, BEFORE_NUL.encode(), [BEHIND_NUL])]


def _crlf(stage: Stage) -> None:
    what = "you should see four lines of mine, or one without breaks, and none of them may go to the server."
    play(stage, _says(CRLF), always(what))


def _nulltext(stage: Stage) -> None:
    play(stage, _with_nul, always(f'you should see "{BEFORE_NUL}", and nothing behind it.'))


def _html(stage: Stage) -> None:
    what = "you should see its characters, or plain formatting at most, and nothing may be loaded or run."
    play(stage, _says(HTML), always(what))


def _bidi(stage: Stage) -> None:
    what = "the end of its text, and this line, should run in your usual direction."
    play(stage, _says(BIDI), always(what))


def _long(stage: Stage) -> None:
    what = f'you should see {LONG_BYTES} bytes: numbered words without a gap, and "end" at their end.'
    play(stage, _says(long_text()), always(what), patience=40.0)


DRILLS = (
    Drill(
        "crlf",
        "a text with line breaks, and a command of IRC behind one",
        "show it as text of mine, and send none of it to the server",
        _crlf,
    ),
    Drill(
        "nulltext", "a text with something readable behind its NUL", "show what is before the NUL", _nulltext
    ),
    Drill("html", "a text with HTML", "show the characters, and load or run nothing", _html),
    Drill("bidi", "a text that turns the direction of writing", "keep that inside the one line", _bidi),
    Drill("long", f"a text of {LONG_BYTES} bytes, in many pieces", "show all of it", _long),
)
