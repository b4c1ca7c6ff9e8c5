"""An addon inside of HexChat that tells a test what it sees, and changes nothing.

It appends JSON objects, one a line, to the file `probe.jsonl` in HexChat's configuration folder: every
text event that reaches the window, every line that Python prints past them, and the answer to each
question that comes as `/probe {"number": 1, "what": ...}`.

All Python addons share one interpreter, so what others print is seen where Python hands it to HexChat;
windows are read from GTK itself. It imports nothing of ours: HexChat has a Python of its own.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import _hexchat  # type: ignore[import-not-found,unused-ignore]
import hexchat  # type: ignore[import-not-found,unused-ignore]

__module_name__ = "probe"
__module_version__ = "1"
__module_description__ = "tells tests what happens"

# What is said, who comes and goes, and how the connection does; and what is no text, but an event too.
_EVENTS = """\
Your Message|Your Action|Message Send|Notice Send|CTCP Send|Private Message|Private Message to Dialog
Private Action|Private Action to Dialog|Notice|Server Notice|Server Text|Server Error|Generic Message
CTCP Generic|CTCP Generic to Channel|Channel Message|Channel Msg Hilight|Channel Action
Channel Action Hilight|Channel Notice|Join|Part|Part with Reason|Quit|Kick|Killed|You Join|You Part
You Part with Reason|You Kicked|Change Nick|Your Nick Changing|Nick Clash|Nick Failed|Invited
Connecting|Connected|Connection Failed|Server Connected|Server Lookup|Disconnected|Stop Connection
Unknown Host|Ping Timeout|Motd|MOTD Skipped|Capability List|Capability Acknowledgement|Capability Request
Ignore Add|Ignore Remove|Ignore Changed|WhoIs Name Line|WhoIs End|WhoIs Away Line|Beep
Open Context|Close Context|Focus Tab|Focus Window"""

_SERVER = 1  # among the types of tabs
_VISIBLE = 20  # pixels of a cell that can be seen, however wide it is
_NICK = 1  # among the columns of the list of users
_FOREGROUND = 9  # among Pango's types of attributes

_records = open(os.path.join(hexchat.get_info("configdir"), "probe.jsonl"), "a", buffering=1)  # noqa: SIM115


def _record(event: str, **members: Any) -> None:
    _records.write(json.dumps(dict(members, event=event)) + "\n")


def _where() -> list[str]:
    here = hexchat.get_context()
    return next((_place(tab) for tab in hexchat.get_list("channels") if tab.context == here), ["", ""])


def _place(tab: Any) -> list[str]:
    """Return the network, and the name that a tab has there: a server's own has none."""
    return [tab.network or "", "" if tab.type == _SERVER else tab.channel]


def _context(network: str, name: str) -> Any:
    # HexChat's own search takes no name for whatever tab is in front.
    for tab in hexchat.get_list("channels"):
        place = _place(tab)
        if place[0] == network and not hexchat.nickcmp(place[1], name):
            return tab.context
    raise LookupError([network, name])


class _Watched:
    """HexChat's functions as the Python addons have them, with what is printed recorded."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def hexchat_print(self, plugin: Any, text: bytes) -> None:
        _record("print", where=_where(), text=text.decode(errors="replace"))
        self._library.hexchat_print(plugin, text)


def _watch() -> None:
    library = _hexchat.lib
    while isinstance(library, _Watched):  # of the probe that was loaded before
        library = library._library
    watched = _Watched(library)
    _hexchat.lib = watched
    # The plugin itself, which prints the tracebacks and what addons give to print().
    sys.stdout.write.__globals__["lib"] = watched


# Called by HexChat.


def emitted(words: list[str], from_there: list[str], name: str, attributes: Any) -> int:
    """Tell of a text event that no addon has swallowed."""
    _record("text", name=name, where=_where(), words=words, time=attributes.time)
    return int(hexchat.EAT_NONE)


def asked(words: list[str], from_there: list[str], data: object) -> int:
    """Answer a question."""
    question = json.loads(from_there[1])
    answer, error = None, ""
    try:
        about = question["about"]
        where = about.pop("where", None)
        (_context(*where) if where else hexchat.find_context()).set()
        answer = _QUESTIONS[question["what"]](**about)
    except Exception:
        error = traceback.format_exc()
    _record("answer", number=question["number"], answer=answer, error=error)
    return int(hexchat.EAT_ALL)


# What may be asked.


def _evaluate(expression: str, addon: str) -> Any:
    names: dict[str, Any] = {}
    if addon:
        names = next(each.globals for each in _addons() if each.name == addon)
    value = eval(expression, {**names, "hexchat": hexchat})
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return repr(value)


def _tabs() -> list[dict[str, Any]]:
    front = hexchat.find_context()
    shown = {row["context"]: (row["label"], row["color"]) for _, rows in _trees() for row in rows}
    return [
        {
            "where": _place(tab),
            "name": tab.channel,
            "label": label,
            "color": color,
            "type": tab.type,
            "queue": tab.queue,
            "flags": tab.flags,
            "front": tab.context == front,
        }
        for tab in hexchat.get_list("channels")
        for label, color in [shown.get(_address(tab.context), ("", ""))]
    ]


def _compose(text: str) -> None:
    """Bring the tab to the front, with a text in its input box."""
    hexchat.command("gui focus")
    # The command SETTEXT would lose blanks.
    window = int(hexchat.get_info("win_ptr"), 16)
    box = _gtk.pointer("gtk_window_get_focus", window)
    if not _is(box, "GtkEntry"):
        raise LookupError("no input box has the keys")
    _gtk.pointer("gtk_entry_set_text", box, text.encode())


def _composed() -> str:
    return hexchat.get_info("inputbox") or ""


def _addons() -> list[Any]:
    return list(sys.stdout.write.__globals__["plugins"])


def _loaded() -> dict[str, str]:
    return {addon.name: addon.version for addon in _addons()}


# GTK, of which HexChat has no more to tell.


class _Gtk:
    """The functions of GTK 2 that read windows."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)

    def text(self, name: str, *arguments: Any) -> str:
        value = self._function(name, ctypes.c_char_p)(*arguments)
        return value.decode(errors="replace") if value else ""

    def pointer(self, name: str, *arguments: Any) -> int:
        return self._function(name, ctypes.c_void_p)(*arguments) or 0

    def number(self, name: str, *arguments: Any) -> int:
        return int(self._function(name, ctypes.c_int)(*arguments))

    def _function(self, name: str, result: Any) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            function = self._library[name]
            function.restype = result
            return function(*(ctypes.c_void_p(each) if type(each) is int else each for each in arguments))

        return call


_gtk = _Gtk()
_CHILD = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_ROW = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)


class _Item(ctypes.Structure):
    """An item of a list of GLib's."""

    _fields_ = (("data", ctypes.c_void_p), ("next", ctypes.c_void_p))


def _kind(widget: int) -> str:
    return _gtk.text("g_type_name_from_instance", widget)


def _is(widget: int, kind: str) -> bool:
    wanted = _gtk.pointer("g_type_from_name", kind.encode())
    return bool(wanted and _gtk.number("g_type_check_instance_is_a", widget, wanted))


def _children(widget: int) -> list[int]:
    found: list[int] = []
    if _is(widget, "GtkContainer"):
        callback = _CHILD(lambda child, data: found.append(child))
        _gtk.pointer("gtk_container_forall", widget, callback, None)
    return found


def _inside(widget: int) -> list[int]:
    """Return a widget and all that can be seen in it."""
    if not _gtk.number("gtk_widget_get_visible", widget):
        return []
    return [widget, *(part for child in _children(widget) for part in _inside(child))]


def _address(context: Any) -> int:
    return int(_hexchat.ffi.cast("uintptr_t", context._ctx))


class _Iterator(ctypes.Structure):
    _fields_ = (("stamp", ctypes.c_int), ("data", ctypes.c_void_p * 3))


class _Channel(ctypes.Structure):
    """The beginning of what HexChat keeps of a row of the tree of tabs."""

    _fields_ = (("view", ctypes.c_void_p), ("row", _Iterator), ("context", ctypes.c_void_p))


class _Color(ctypes.Structure):
    """An attribute of a text that is a color."""

    _fields_ = (
        ("kind", ctypes.c_void_p),
        ("start", ctypes.c_uint),
        ("end", ctypes.c_uint),
        ("parts", ctypes.c_uint16 * 3),
    )


def _color(attributes: int) -> str:
    """Return the color that Pango's attributes give to the beginning of a text, `#rrggbb`; empty for none."""
    if not attributes:
        return ""
    place = _gtk.pointer("pango_attr_list_get_iterator", attributes)
    found = _gtk.pointer("pango_attr_iterator_get", place, ctypes.c_int(_FOREGROUND))
    color = "#" + "".join(f"{part >> 8:02x}" for part in _Color.from_address(found).parts) if found else ""
    _gtk.pointer("pango_attr_iterator_destroy", place)
    return color


class _Rectangle(ctypes.Structure):
    """A place in a window, in pixels."""

    _fields_ = tuple((name, ctypes.c_int) for name in ("left", "top", "width", "height"))

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, widget: int) -> _Rectangle:
        """Return the place that a widget takes."""
        place = cls()
        _gtk.pointer("gtk_widget_get_allocation", widget, ctypes.byref(place))
        return place


def _origin(window: int) -> list[int]:
    """Return the place of a window of GDK's on the screen."""
    left, top = ctypes.c_int(), ctypes.c_int()
    _gtk.pointer("gdk_window_get_origin", window, ctypes.byref(left), ctypes.byref(top))
    return [left.value, top.value]


def _middle(window: int, place: _Rectangle) -> list[int]:
    left, top = _origin(window)
    return [left + place.left + place.width // 2, top + place.top + place.height // 2]


def _named(name: str) -> list[int]:
    """Return the widgets to which HexChat has given a name."""
    parts = [part for window in _shown() for part in _inside(window)]
    return [part for part in parts if _gtk.text("gtk_widget_get_name", part) == name]


def _trees() -> list[tuple[int, list[dict[str, Any]]]]:
    """Return the trees of tabs, each with its rows: the address of the context, and what is shown."""
    found = []
    for view in _named("hexchat-tree"):
        rows = []
        for path, label, channel, colors in _cells(_gtk.pointer("gtk_tree_view_get_model", view), *range(3)):
            if channel:
                rows.append(
                    {
                        "context": _Channel.from_address(channel).context or 0,
                        "path": path,
                        "label": ctypes.string_at(label).decode() if label else "",
                        "color": _color(colors),
                    }
                )
        found.append((view, rows))
    return found


def _cells(model: int, *columns: int) -> list[Any]:
    """Return the path of each row of a model, and pointers that some of its columns have."""
    found = []

    def each(model: int, path: int, row: int, data: int) -> int:
        cells = [ctypes.c_void_p() for _ in columns]
        for column, cell in zip(columns, cells):  # noqa: B905
            _gtk.pointer(
                "gtk_tree_model_get", model, row, ctypes.c_int(column), ctypes.byref(cell), ctypes.c_int(-1)
            )
        found.append((_gtk.text("gtk_tree_path_to_string", path), *(cell.value or 0 for cell in cells)))
        return 0

    _gtk.pointer("gtk_tree_model_foreach", model, _ROW(each), None)
    return found


def _shown() -> list[int]:
    """Return the windows that can be seen, in the order in which they were made."""
    found = []
    item = _gtk.pointer("gtk_window_list_toplevels")
    while item:
        entry = _Item.from_address(item)
        item = entry.next or 0
        window = entry.data
        if window and _is(window, "GtkWindow") and _gtk.number("gtk_widget_get_visible", window):
            found.append(window)
    return sorted(found, key=_number)


def _number(window: int) -> int:
    return _gtk.number("gdk_x11_drawable_get_xid", _gtk.pointer("gtk_widget_get_window", window))


def _text_area() -> list[int]:
    """Return the place on the screen of the lines of the tab in front: left, top, width and height."""
    main = int(hexchat.get_info("win_ptr"), 16)
    area = next(part for part in _inside(main) if _kind(part) == "GtkXText")
    place = _Rectangle.of(area)
    return [*_origin(_gtk.pointer("gtk_widget_get_window", area)), place.width, place.height]


def _label_place(text: str) -> list[int]:
    """Return the middle of a label that can be seen, of the newest window that has one."""
    for window in reversed(_shown()):
        for part in _inside(window):
            if _is(part, "GtkLabel") and _gtk.text("gtk_label_get_text", part) == text:
                return _middle(_gtk.pointer("gtk_widget_get_window", part), _Rectangle.of(part))
    raise LookupError(text)


def _tab_place(of: list[str]) -> list[int]:
    """Return a place on a tab's row."""
    address = _address(_context(*of))
    for view, rows in _trees():
        for row in rows:
            if row["context"] == address:
                return _cell(view, row["path"], 0)
    raise LookupError(of)


def _nick_place(nick: str) -> list[int]:
    """Return a place on somebody's row in the list of users of the tab in front."""
    for view in _named("hexchat-userlist"):
        for path, cell in _cells(_gtk.pointer("gtk_tree_view_get_model", view), _NICK):
            if cell and ctypes.string_at(cell).decode() == nick:
                return _cell(view, path, _NICK)
    raise LookupError(nick)


def _cell(view: int, path: str, column: int) -> list[int]:
    place = _Rectangle()
    row = _gtk.pointer("gtk_tree_path_new_from_string", path.encode())
    shown = _gtk.pointer("gtk_tree_view_get_column", view, ctypes.c_int(column))
    _gtk.pointer("gtk_tree_view_get_cell_area", view, row, shown, ctypes.byref(place))
    _gtk.pointer("gtk_tree_path_free", row)
    place.width = min(place.width, _VISIBLE)
    return _middle(_gtk.pointer("gtk_tree_view_get_bin_window", view), place)


def _windows() -> list[dict[str, Any]]:
    found = []
    for window in _shown():
        parts = _inside(window)
        labels = [part for part in parts if _is(part, "GtkLabel")]
        entries = [part for part in parts if _is(part, "GtkEntry")]
        found.append(
            {
                "number": _number(window),
                "title": _gtk.text("gtk_window_get_title", window),
                "kind": _kind(window),
                "active": bool(_gtk.number("gtk_window_is_active", window)),
                "labels": [_gtk.text("gtk_label_get_text", part) for part in labels],
                "entries": [_gtk.text("gtk_entry_get_text", part) for part in entries],
            }
        )
    return found


_QUESTIONS: dict[str, Callable[..., Any]] = {
    "compose": _compose,
    "composed": _composed,
    "evaluate": _evaluate,
    "label place": _label_place,
    "loaded": _loaded,
    "nick place": _nick_place,
    "tab place": _tab_place,
    "tabs": _tabs,
    "text area": _text_area,
    "windows": _windows,
}

_watch()
for _name in _EVENTS.replace("\n", "|").split("|"):
    hexchat.hook_print_attrs(_name, emitted, _name, hexchat.PRI_LOWEST)
hexchat.hook_command("PROBE", asked)
_record("start", pid=os.getpid(), version=hexchat.get_info("version"), python=list(sys.version_info[:3]))
