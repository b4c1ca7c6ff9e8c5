"""What the HexChat addon makes of raw lines, in every Python that HexChat may embed."""

from __future__ import annotations

import json
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from otrcore.scripts.hexchat import raw

from tests.client.test_pythons import MINORS, find_python

SOURCE = Path(str(resources.files("otrcore.scripts.hexchat") / "raw.py")).resolve()

MESSAGES = {
    "PRIVMSG bob :hi  there ": ("", "PRIVMSG", "bob", "hi  there "),
    "PRIVMSG bob hi": ("", "PRIVMSG", "bob", "hi"),
    "PRIVMSG bob ::)": ("", "PRIVMSG", "bob", ":)"),
    "PRIVMSG bob :": ("", "PRIVMSG", "bob", ""),
    "  privmsg   bob   :hi": ("", "PRIVMSG", "bob", "hi"),
    "notice bob,carol :hi": ("", "NOTICE", "bob,carol", "hi"),
    ":alice PRIVMSG bob :hi": ("alice", "PRIVMSG", "bob", "hi"),
    "@+a=b;c :bob!b@h PRIVMSG alice :\x01ACTION x\x01": ("bob!b@h", "PRIVMSG", "alice", "\x01ACTION x\x01"),
    "@a  :bob!b@h  NOTICE  alice  :x": ("bob!b@h", "NOTICE", "alice", "x"),
    "@a PRIVMSG bob :x": ("", "PRIVMSG", "bob", "x"),
    "CPRIVMSG bob #room :hi": ("", "PRIVMSG", "bob", "hi"),
    "cnotice bob #room hi": ("", "NOTICE", "bob", "hi"),
    "PRIVMSG bob :one\ntwo": ("", "PRIVMSG", "bob", "one\ntwo"),
    "PRIVMSG bob": None,
    "PRIVMSG": None,
    "PRIVMSG :bob": None,
    "PRIVMSGS bob :hi": None,
    "XPRIVMSG bob :hi": None,
    "TOPIC #room :PRIVMSG bob :hi": None,
    "": None,
}
LINES = {
    "": [],
    "\n": [],
    "a": ["a"],
    "a\r\nb\n\nc\r\0d": ["a", "b", "c", "d"],
}
PREFIXES = {
    ":bob!b@h": ("bob", "bob!b@h"),
    "bob!b@h": ("bob", "bob!b@h"),
    ":irc.example": ("irc.example", None),
    ":bob@h": ("bob@h", None),
    ":": ("", None),
    "": ("", None),
}
BARE = {
    "hi": "hi",
    "\x01ACTION waves\x01": "waves",
    "\x01ACTION waves": "waves",
    "\x01PING\x01": "\x01PING\x01",
}
REQUESTS = {"hi": "", "": "", "\x01": "", "\x01time\x01": "TIME", "\x01Ping 1 2\x01": "PING"}
FILES = {
    b"": True,
    b"msg bob hi\nmsg bob caf\xc3\xa9\n": True,
    b"msg bob caf\xe9\n": False,
    b"x" * 1022 + b"\xc3\xa9": False,  # HexChat cuts it there
    b"x" * 1021 + b"\xc3\xa9": True,
    b"x" * 1022 + b"\n\xc3\xa9": True,
}

# What a Python that has nothing of ours makes of all this.
CHECK = """
import json, sys
names = {"__name__": "raw"}
exec(compile(open(sys.argv[1], encoding="utf-8").read(), "raw.py", "exec", optimize=2), names)
given = json.load(sys.stdin)
print(json.dumps({name: [names[name](text) for text in texts] for name, texts in given.items()}))
"""
EXPECTED: dict[str, Any] = {
    "message": {text: None if found is None else list(found) for text, found in MESSAGES.items()},
    "lines": LINES,
    "nick": {prefix: nick for prefix, (nick, _) in PREFIXES.items()},
    "mask": {prefix: mask for prefix, (_, mask) in PREFIXES.items()},
    "bare": BARE,
    "request": REQUESTS,
}


@pytest.mark.parametrize("minor", MINORS)
def test_in_each_python(minor: int, tmp_path: Path) -> None:
    python = find_python(minor)
    if python is None:
        pytest.skip(f"needs Python 3.{minor}, which this machine does not have")
    files = {}
    for number, (content, good) in enumerate(FILES.items()):
        (tmp_path / str(number)).write_bytes(content)
        files[str(tmp_path / str(number))] = good
    expected = EXPECTED | {"is_utf8": files}
    given = json.dumps({name: list(texts) for name, texts in expected.items()})
    said = subprocess.run(
        [python, "-I", "-S", "-W", "error::DeprecationWarning", "-c", CHECK, str(SOURCE)],
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stderr == ""
    assert json.loads(said.stdout) == {name: list(texts.values()) for name, texts in expected.items()}


def test_a_long_line_takes_no_longer() -> None:
    """A peer cannot have a pattern search for ever."""
    assert raw.message("@a " * 100_000) is None
    assert raw.message(":" + "x " * 100_000) is None
    assert raw.message("PRIVMSG " + " " * 100_000) is None
