# SPDX-FileCopyrightText: 2026 the otrcore authors <maintainers@otrcore.example>
#
# SPDX-License-Identifier: MIT

"""Off-the-Record messaging (OTR): private conversations that nobody else can read, or prove.

What happens in HexChat is handed to otrcore, and nothing else is done here.  Keys and cryptography are
in a process of its own, the engine.  Whatever goes wrong, nothing is sent.
"""

from __future__ import annotations

import functools
import os
import sys
from contextlib import ExitStack, suppress
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any, Callable

import hexchat  # type: ignore[import-not-found,unused-ignore]

PYTHON = ""  # `otr install hexchat` fills in the Python that runs the engine
PACKAGES = ""  # `otr install hexchat` fills in the folder that has the package otrcore

__module_name__ = "otr_client"
__module_version__ = "0.1.0"
__module_description__ = "Off-the-Record messaging: private conversations"

TICK = 50  # milliseconds between two looks at what the engine has to say
NONE: int = hexchat.EAT_NONE
ALL: int = hexchat.EAT_ALL
COMMAND, SERVER, PRINT, PRINT_ATTRS = "command", "server_attrs", "print", "print_attrs"

# What addons of this name share, one after the other, in one HexChat.
KEPT: Any = sys.modules.setdefault("otr_client_kept", ModuleType("otr_client_kept"))
KEPT.generation = GENERATION = getattr(KEPT, "generation", 0) + 1


def find_otrcore(packages: str) -> None:
    """Have otrcore taken from there, and as it is there now, whatever an addon before this one has loaded."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "otrcore"]:
        del sys.modules[name]
    folder = os.path.join(packages, "otrcore")
    start = os.path.join(folder, "__init__.py")
    spec = spec_from_file_location("otrcore", start, submodule_search_locations=[folder])
    if spec is None or spec.loader is None or not os.path.exists(start):
        raise ImportError(start)
    sys.modules["otrcore"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["otrcore"])


try:
    find_otrcore(PACKAGES or os.environ.get("OTR_CLIENT_PACKAGES", ""))
    from otrcore.scripts.hexchat import raw
    from otrcore.scripts.hexchat.menu import add_menus, remove_menus
    from otrcore.scripts.hexchat.screen import SETTABLE, Screen
    from otrcore.scripts.hexchat.tabs import DIALOG

    from otrcore.client.chat import Chat
except ImportError:
    hexchat.prnt("OTR\tThere is no OTR, as otrcore is not found: run `otr install hexchat` in a terminal.")
    raise

screen = Screen(KEPT)
hooks: list[tuple[str, str, Callable[..., Any], int]] = []
SAY = "MSG {} {}"
asked: list[str] = []  # a CTCP that has come just now: of whom, and which
last_told: dict[str, str] = {}  # by tab, whom /msg was for: "." in the next one


def hook(
    kind: str, *names: str, failed: int = NONE, verb: str = "done", priority: int = hexchat.PRI_HIGHEST
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Hook a function, so that what goes wrong in it ends in `failed`, and is told with what was typed.

    After an exception, HexChat would go on as if there were no hook.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def guarded(word: list[str], word_eol: list[str], *more: Any) -> int:
            try:
                return int(function(word, word_eol, *more) or NONE)
            except BaseException as error:
                with suppress(BaseException):
                    why = f"because of an error inside OTR ({type(error).__name__}): please report it."
                    hexchat.prnt(f"OTR\t\00304Not {verb}, {why}")
                    if verb == "sent":
                        give_back(word_eol[0] if word_eol else "")
            return failed

        hooks.extend((kind, name, guarded, priority) for name in names)
        return guarded

    return decorate


def give_back(text: str) -> None:
    """Show what was typed, and leave it out of the log if that can be had."""
    with ExitStack() as meanwhile:
        with suppress(BaseException):
            meanwhile.enter_context(screen.logs.pause(screen.tabs.here()))
        hexchat.prnt("OTR\t  your text: " + text)


# Messages.


def judged(to: str, text: str, command: str, again: str, typed: str) -> int:
    """Do with a message what otrcore says.

    `again` is HexChat's command for one of its kind, which takes targets and what was `typed`.
    """
    lines = raw.lines(typed)
    if len(lines) > 1:  # of an addon
        for one in lines:
            hexchat.command(again.format(to, one))
        return ALL
    tab = screen.tabs.here()
    if screen.aside and not screen.protects(tab.server, to):
        return NONE
    said = screen.chat.outgoing(tab.server, to, text, command)
    if said.verdict == "pass":
        return NONE
    if said.verdict == "drop":
        return ALL
    if said.to == to:  # with an offer of OTR, which nobody need see
        return ALL if screen.offered(tab, to, text, said.text, command) else NONE
    screen.passed(again.format(said.to, typed))
    return ALL


@hook(COMMAND, "", failed=ALL, verb="sent")
def typed(word: list[str], word_eol: list[str], data: Any) -> int:
    """Return EAT_ALL for a text typed in a dialog that HexChat must not send as it stands."""
    tab = screen.tabs.here()
    text = word_eol[0] if word_eol else ""
    return judged(tab.name, text, "PRIVMSG", SAY, text) if tab.kind == DIALOG and text.strip() else NONE


@hook(COMMAND, "ME", failed=ALL, verb="sent")
def me(word: list[str], word_eol: list[str], data: Any) -> int:
    """Return EAT_ALL for `/me` in a dialog if HexChat must not send it as it stands."""
    tab = screen.tabs.here()
    if tab.kind != DIALOG or len(word) < 2:
        return NONE
    return judged(tab.name, f"\x01ACTION {word_eol[1]}\x01", "PRIVMSG", "ME {1}", word_eol[1])


@hook(COMMAND, "MSG", "QUERY", "NOTICE", "CTCP", "NCTCP", failed=ALL, verb="sent")
def to_somebody(word: list[str], word_eol: list[str], data: Any) -> int:
    """Return EAT_ALL for a command with a text to somebody that HexChat must not send as it stands."""
    if screen.passing and word_eol[0] == screen.passing:
        return NONE
    name, at = word[0].upper(), 2 if word[1:2] == ["-nofocus"] else 1
    if len(word) <= at + 1:
        return NONE
    to, text = word[at], word_eol[at + 1]
    if name == "MSG":
        where = "{0.number} {0.name}".format(screen.tabs.here())
        if to == ".":
            to = last_told.get(where, "")
            if not to:
                screen.tell("", "", 'Not sent: name the nick, as OTR does not know whom "." means here.')
                return ALL
        last_told[where] = to
    if to.startswith("="):  # a DCC chat
        return NONE
    again = name + " {} {}"
    if name in ("CTCP", "NCTCP"):
        kind, _, behind = text.partition(" ")
        if name == "NCTCP" and [to, kind.upper()] == asked:  # HexChat's own answer, as its settings have it
            return NONE
        # A CTCP in a notice would be taken for an answer of the client's own; this one was typed.
        return judged(to, f"\x01{kind.upper()} {behind}".rstrip() + "\x01", "PRIVMSG", again, text)
    if name == "QUERY":
        screen.passed("QUERY " + " ".join(word[1 : at + 1]))
    done = judged(to, text, "NOTICE" if name == "NOTICE" else "PRIVMSG", again, text)
    if done == NONE and to != word[at]:  # HexChat knows only whom it has written to itself
        screen.passed(again.format(to, text))
        done = ALL
    return done


@hook(COMMAND, "QUOTE", "PRIVMSG", "CPRIVMSG", "CNOTICE", failed=ALL, verb="sent")
def as_raw(word: list[str], word_eol: list[str], data: Any) -> int:
    """Return EAT_ALL for a raw line with a message that must not leave as it stands; our own lines pass."""
    quoted = word[0].upper() == "QUOTE"
    line = word_eol[1 if quoted else 0] if len(word) > quoted else ""
    if line.rstrip() in (screen.sending, screen.passing.partition(" ")[2].rstrip()):
        return NONE
    lines = raw.lines(line)
    if len(lines) > 1:
        for one in lines:
            hexchat.command("QUOTE " + one)
        return ALL
    message = raw.message(line)
    if message is None:
        return NONE
    again = f"QUOTE {message.command} {{}} :{{}}"
    return judged(message.to, message.text, message.command, again, message.text)


@hook(COMMAND, "LOAD", failed=ALL)
def from_a_file(word: list[str], word_eol: list[str], data: Any) -> int:
    """Commands of a file: nobody is asked about one that Python cannot decode, and it would leave."""
    if word[1:2] != ["-e"] or len(word) < 3:
        return NONE
    path = f"{hexchat.get_info('configdir')}/{os.path.expanduser(word[2])}"
    if os.path.exists(path) and not raw.is_utf8(path):
        screen.tell("", "", f"Not done, as {word[2]} is not in UTF-8 or has a very long line: change that.")
        return ALL
    return NONE


@hook(SERVER, "PRIVMSG", "NOTICE", failed=ALL, verb="shown")
def incoming(word: list[str], word_eol: list[str], data: Any, attrs: Any) -> int:
    """Return EAT_ALL for a message that is OTR's own, or in whose place another text is shown."""
    line = word_eol[0]
    if screen.faking or screen.aside:
        return NONE
    message = raw.message(line)
    if message is None or not message.sender:
        return NONE
    asked[:] = raw.nick(message.sender), raw.request(message.text)
    if message.to[:1] in "#&":
        return NONE
    tab = screen.tabs.here()
    time = raw.time(attrs.time)
    said = screen.chat.incoming(tab.server, message.sender, message.to, message.text, message.command, time)
    if said.verdict == "replace":
        screen.fake(tab.server, f"{time}:{message.sender} {message.command} {message.to} :{said.text}")
    return NONE if said.verdict == "pass" else ALL


@hook(
    PRINT_ATTRS,
    *("Private Message to Dialog", "Private Action to Dialog", "Private Message", "Private Action", "Notice"),
)
def signed(word: list[str], word_eol: list[str], event: str, attrs: Any) -> int:
    """Put the sign in front of what came encrypted, after all have seen what came."""
    sign = screen.take_sign()
    if not sign or len(word) < 2:
        return NONE
    hexchat.emit_print(event, word[0], sign + word[1], *word[2:4], time=attrs.time)
    return ALL


# The user.


@hook(COMMAND, "OTR", failed=ALL)
def commanded(word: list[str], word_eol: list[str], data: Any) -> int:
    """Do what `/otr` says in a tab; EAT_NONE leaves it to hexchat-otr, where that is loaded too."""
    if screen.aside:
        return NONE
    tab = screen.tabs.here()
    with screen.asked_in(tab):
        screen.chat.command(tab.server, tab.peer, word_eol[1] if len(word) > 1 else "")
    screen.dialogs.again()
    return ALL


@hook(COMMAND, "OTR_CLIENT", failed=ALL)
def from_a_dialog(word: list[str], word_eol: list[str], data: Any) -> int:
    """What menus and dialogs send: a word, and what was typed there, exactly."""
    tab = screen.tabs.here()
    with screen.asked_in(tab):
        screen.dialogs.answered(tab, word_eol[0].partition(" ")[2])
    return ALL


# What else happens.


@hook(SERVER, "001", "005", "351", "376", "422", "396", "401")
def numeric(word: list[str], word_eol: list[str], data: Any, attrs: Any) -> int:
    """What a server tells of itself, of us, and of who is not there."""
    tab, number = screen.tabs.here(), word[1]
    behind = word_eol[4].lstrip(":") if len(word_eol) > 4 else ""
    return ALL if screen.servers.numeric(tab, number, word[3:], behind) else NONE


@hook(SERVER, "NICK")
def renamed(word: list[str], word_eol: list[str], data: Any, attrs: Any) -> None:
    """Somebody, perhaps ourselves, has another nick."""
    if len(word) > 2:
        screen.servers.nick_changed(screen.tabs.here(), raw.nick(word[0]), word[2].lstrip(":"))


@hook(SERVER, "QUIT")
def gone(word: list[str], word_eol: list[str], data: Any, attrs: Any) -> None:
    """Somebody has left the network, perhaps with a reason: what is encrypted to them reaches nobody."""
    reason = word_eol[2].lstrip(":") if len(word_eol) > 2 else ""
    screen.chat.peer_gone(screen.tabs.here().server, raw.nick(word[0]), reason)


@hook(SERVER, "JOIN", "CHGHOST")
def masked(word: list[str], word_eol: list[str], data: Any, attrs: Any) -> None:
    """Learn from our own JOIN or CHGHOST what others see of us, by which lines are cut."""
    screen.servers.seen(screen.tabs.here(), word)


@hook(PRINT, "Disconnected")
def disconnected(word: list[str], word_eol: list[str], data: Any) -> None:
    """The connection of a tab's server is gone."""
    screen.servers.disconnected(screen.tabs.here().server)


@hook(PRINT, "Open Context")
def opened(word: list[str], word_eol: list[str], data: Any) -> None:
    """Show in a dialog's tab, once it is opened, how the conversation stands."""
    tab = screen.tabs.here()
    if tab.kind == DIALOG:
        screen.draw(tab.server, tab.name)


@hook(PRINT, "Close Context")
def closed(word: list[str], word_eol: list[str], data: Any) -> None:
    """End the conversation of a dialog that is closed; with a server's last tab, all that are on it."""
    tab = screen.tabs.here()
    if tab.kind == DIALOG:
        with screen.at_once():  # the server's own tab may be closed with it
            screen.chat.buffer_closed(tab.server, tab.name)
    if not [
        other for other in screen.tabs.all() if other.number == tab.number and other.context != tab.context
    ]:
        screen.leave(tab.server)


@hook(COMMAND, "QUIT", "DISCON", "RECONNECT", "SERVER")
def leaving(word: list[str], word_eol: list[str], data: Any) -> None:
    """End conversations while lines still leave, as the user is about to disconnect."""
    everywhere = word[0].upper() == "RECONNECT" and word[1:2] and word[1].upper() == "ALL"
    for server in {tab.server for tab in screen.tabs.all()} if everywhere else {screen.tabs.here().server}:
        screen.leave(server)


@hook(COMMAND, "PY", "UNLOAD")
def about_to_unload(word: list[str], word_eol: list[str], data: Any) -> None:
    """Remember a wish to unload: `unloaded` without one, until the next tick, is HexChat's end."""
    screen.unloading = word[0].upper() == "UNLOAD" or word[1:2] == ["unload"]


def on_time(data: Any) -> bool:
    """Do what is due every TICK; True has HexChat call again."""
    screen.unloading = False
    asked.clear()
    try:
        screen.tick()
    # HexChat would call a timer that raises no more.
    except BaseException as error:
        if "tick" not in last_told:
            last_told["tick"] = ""
            with suppress(BaseException):
                hexchat.prnt(f"OTR\tAn error inside OTR ({type(error).__name__}): please report it.")
    return True


def unloaded(data: Any) -> None:
    """Leave conversations to a newer addon, be it there already or loaded next; HexChat's end ends them."""
    if KEPT.generation != GENERATION:  # a newer one goes on
        screen.chat.link.close()
        return
    remove_menus()
    if screen.unloading:
        screen.chat.unload()
    else:
        with screen.at_once():
            screen.chat.quit()
    screen.put_back()


def begin() -> None:
    """Hook everything, and find or start the engine."""
    engine = [PYTHON or os.environ.get("OTR_CLIENT_PYTHON", ""), "-I", "-m", "otrcore.engine"]
    client = "hexchat " + str(hexchat.get_info("version"))
    chat = Chat(screen, engine, __module_version__, client, KEPT.guard, settable=SETTABLE)
    for kind, name, function, priority in hooks:
        getattr(hexchat, "hook_" + kind)(name, function, name, priority)
    hexchat.hook_timer(TICK, on_time)
    hexchat.hook_unload(unloaded)
    add_menus()
    screen.begin(chat)


begin()
