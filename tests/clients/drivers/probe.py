"""A script inside of WeeChat that tells a test what it sees, and changes nothing.

It appends JSON objects, one a line, to the file `probe.jsonl` in WeeChat's data folder:
every line that is printed, every IRC line that goes in or out, some signals, and the
answer to each question that comes as `/probe {"number": 1, "what": ...}`.

It imports nothing of ours: WeeChat may have a Python of its own.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
import traceback
from typing import Any, TextIO

import weechat  # type: ignore[import-not-found,unused-ignore]

# How many lines of a buffer the file already has, for the probe that is loaded next.
_KNOWN_LINES = "probe_lines"

_SIGNALS = (
    "irc_server_connected",
    "irc_server_disconnected",
    "upgrade_ended",
    "weechat_highlight",
    "weechat_pv",
)

_records: list[TextIO] = []


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _record(event: str, **members: Any) -> None:
    _records[-1].write(json.dumps(dict(members, event=event)) + "\n")


def _line(
    name: str, date: int, tags: list[str], shown: bool, highlight: bool, prefix: str, text: str
) -> dict[str, Any]:
    return {
        "buffer": name,
        "date": date,
        "tags": tags,
        "shown": shown,
        "highlight": highlight,
        "prefix": weechat.string_remove_color(prefix, ""),
        "text": weechat.string_remove_color(text, ""),
        "colored": text,
    }


# Called by WeeChat.


def printed(
    data: str,
    buffer: str,
    date: str | int,
    tags: str,
    displayed: str | int,
    highlight: str | int,
    prefix: str | bytes,
    message: str | bytes,
) -> int:
    """Tell of a line that was printed."""
    name = weechat.buffer_get_string(buffer, "full_name")
    parts = [tag for tag in tags.split(",") if tag]
    shown = bool(int(displayed)), bool(int(highlight))
    line = _line(name, int(date), parts, *shown, _text(prefix), _text(message))
    _record("line", line=line)
    return int(weechat.WEECHAT_RC_OK)


def passed(data: str, signal: str, line: str | bytes) -> int:
    """Tell of an IRC line; `signal` is such as `test,irc_out_PRIVMSG`."""
    server = signal.partition(",")[0]
    _record("raw", stage=data, server=server, text=_text(line).rstrip("\r\n"))
    return int(weechat.WEECHAT_RC_OK)


def signalled(data: str, signal: str, value: str | bytes | int | None) -> int:
    """Tell of a signal."""
    _record("signal", name=signal, value=_text(value) if isinstance(value, (str, bytes)) else "")
    return int(weechat.WEECHAT_RC_OK)


def pressed(data: str, signal: str, key: str) -> int:
    """Tell of the Enter key in a terminal, and of no other: what is typed may be secret."""
    if key.lower() == "\x01m":  # in WeeChat 3 with a capital letter
        _record("enter")
    return int(weechat.WEECHAT_RC_OK)


def asked(data: str, buffer: str, arguments: str) -> int:
    """Answer a question."""
    question = json.loads(arguments)
    answer, error = None, ""
    try:
        answer = _QUESTIONS[question["what"]](**question["about"])
    except Exception:
        error = traceback.format_exc()
    _record("answer", number=question["number"], answer=answer, error=error)
    return int(weechat.WEECHAT_RC_OK)


def unloaded() -> int:
    """Leave word to the next probe."""
    _leave_word()
    _records[-1].close()
    return int(weechat.WEECHAT_RC_OK)


def upgraded(data: str, signal: str, value: str | None) -> int:
    """Leave word to the next probe, before WeeChat saves itself: it does so while scripts still run."""
    _leave_word()
    return int(weechat.WEECHAT_RC_OK)


# Questions, by the names of `_QUESTIONS`.


def _buffers() -> list[str]:
    return [weechat.buffer_get_string(buffer, "full_name") for buffer in _all("gui_buffers", "buffer")]


def _buffer(name: str) -> dict[str, Any]:
    buffer = _found(name)
    variables = weechat.hdata_hashtable(weechat.hdata_get("buffer"), buffer, "local_variables")
    return {
        "variables": {name: value for name, value in variables.items() if name != _KNOWN_LINES},
        "lines": _lines_of(buffer),
    }


def _input(name: str) -> str:
    return str(weechat.buffer_get_string(_found(name), "input"))


def _history(name: str) -> list[str]:
    buffer = _found(name) if name else ""
    return [_member("string", entry, "text") for entry in _entries("history", buffer, "")]


def _option(name: str) -> str | None:
    for entry in _entries("option", "", name):
        null = weechat.infolist_integer(entry, "value_is_null")
        return None if null else _member("string", entry, "value")
    raise LookupError(f"no option {name}")


def _evaluate(expression: str, name: str) -> str:
    return str(weechat.string_eval_expression(expression, {"buffer": _found(name)}, {}, {}))


def _scripts() -> dict[str, str]:
    return {
        _member("string", entry, "name"): _member("string", entry, "version")
        for entry in _entries("python_script", "", "")
    }


def _hotlist() -> dict[str, list[int]]:
    counts = {}
    for entry in _entries("hotlist", "", ""):
        buffer = _member("pointer", entry, "buffer_pointer")
        name = weechat.buffer_get_string(buffer, "full_name")
        counts[name] = [int(_member("integer", entry, f"count_0{level}")) for level in range(4)]
    return counts


def _items(name: str) -> list[str]:
    """Return what each bar that has an item shows for it.

    WeeChat offers only the address of these texts, and no call that reads them.
    """
    bars, screens, windows = (weechat.hdata_get(kind) for kind in ("bar", "window", "bar_window"))
    shown = [weechat.hdata_pointer(bars, bar, "bar_window") for bar in _all("gui_bars", "bar")]
    for screen in _all("gui_windows", "window"):
        shown += _chain(windows, weechat.hdata_pointer(screens, screen, "bar_windows"))
    found = []
    for window in filter(None, shown):
        bar = weechat.hdata_string(bars, weechat.hdata_pointer(windows, window, "bar"), "name")
        items = weechat.config_string(weechat.config_get(f"weechat.bar.{bar}.items"))
        address = weechat.hdata_pointer(windows, window, "items_content")
        if not address:
            continue
        contents = ctypes.cast(int(address, 16), ctypes.POINTER(ctypes.POINTER(ctypes.c_char_p)))
        for row, group in enumerate(items.split(",")):
            for column, item in enumerate(group.split("+")):
                before, mark, after = item.partition(name)
                if mark and not re.search(r"\w", before + after):
                    text = (contents[row][column] or b"").decode("utf-8", "replace")
                    text = weechat.string_remove_color(text, "")
                    found.append(text[len(before) : len(text) - len(after)])
    return found


_QUESTIONS: dict[str, Any] = {
    "done": lambda: True,
    "buffers": _buffers,
    "buffer": _buffer,
    "input": _input,
    "history": _history,
    "option": _option,
    "evaluate": _evaluate,
    "scripts": _scripts,
    "hotlist": _hotlist,
    "items": _items,
}


def _leave_word() -> None:
    for buffer in _all("gui_buffers", "buffer"):
        weechat.buffer_set(buffer, "localvar_set_" + _KNOWN_LINES, str(len(_lines_of(buffer))))


def _found(name: str) -> str:
    buffer = weechat.buffer_search("==", name)
    if not buffer:
        raise LookupError(f"no buffer {name}")
    return str(buffer)


# WeeChat's two ways to hand out lists.


def _chain(hdata: str, pointer: str) -> list[str]:
    found = []
    while pointer:
        found.append(pointer)
        pointer = weechat.hdata_move(hdata, pointer, 1)
    return found


def _all(name: str, kind: str) -> list[str]:
    hdata = weechat.hdata_get(kind)
    return _chain(hdata, weechat.hdata_get_list(hdata, name))


def _entries(name: str, pointer: str, arguments: str) -> Any:
    infolist = weechat.infolist_get(name, pointer, arguments)
    try:
        while weechat.infolist_next(infolist):
            yield infolist
    finally:
        weechat.infolist_free(infolist)


def _member(kind: str, entry: str, name: str) -> Any:
    return getattr(weechat, "infolist_" + kind)(entry, name)


def _lines_of(buffer: str) -> list[dict[str, Any]]:
    name = weechat.buffer_get_string(buffer, "full_name")
    lines = weechat.hdata_pointer(weechat.hdata_get("buffer"), buffer, "own_lines")
    first = weechat.hdata_pointer(weechat.hdata_get("lines"), lines, "first_line")
    line, data = weechat.hdata_get("line"), weechat.hdata_get("line_data")
    found = []
    for pointer in _chain(line, first):
        entry = weechat.hdata_pointer(line, pointer, "data")
        count = weechat.hdata_integer(data, entry, "tags_count")
        found.append(
            _line(
                name,
                int(weechat.hdata_time(data, entry, "date")),
                [weechat.hdata_string(data, entry, f"{index}|tags_array") for index in range(count)],
                bool(weechat.hdata_char(data, entry, "displayed")),
                bool(weechat.hdata_char(data, entry, "highlight")),
                _text(weechat.hdata_string(data, entry, "prefix")),
                _text(weechat.hdata_string(data, entry, "message")),
            )
        )
    return found


def _begin() -> None:
    folder = weechat.info_get("weechat_data_dir", "")
    # Line by line: a reader finds no event later than its effect.
    _records.append(open(os.path.join(folder, "probe.jsonl"), "a", encoding="utf-8", buffering=1))  # noqa: SIM115
    _record("start", pid=os.getpid(), version=weechat.info_get("version", ""), python=sys.version.split()[0])
    for buffer in _all("gui_buffers", "buffer"):
        lines = _lines_of(buffer)
        known = int(weechat.buffer_get_string(buffer, "localvar_" + _KNOWN_LINES) or 0)
        for line in lines[known if known <= len(lines) else 0 :]:
            _record("line", line=line)
    weechat.hook_print("", "", "", 0, "printed", "")
    weechat.hook_signal("*,irc_raw_in_*", "passed", "in")
    weechat.hook_signal("*,irc_out1_*", "passed", "out1")
    weechat.hook_signal("*,irc_out_*", "passed", "out")
    for signal in _SIGNALS:
        weechat.hook_signal(signal, "signalled", "")
    weechat.hook_signal("upgrade", "upgraded", "")
    weechat.hook_signal("key_pressed", "pressed", "")
    weechat.hook_command("probe", "Answer a test's question", "", "", "", "asked", "")


if weechat.register("probe", "the otrcore authors", "1", "MIT", "Tell a test what is seen", "unloaded", ""):
    _begin()
