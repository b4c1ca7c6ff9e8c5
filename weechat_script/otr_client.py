# SPDX-FileCopyrightText: 2026 the otrcore authors <maintainers@otrcore.example>
#
# SPDX-License-Identifier: MIT

"""Off-the-Record messaging (OTR): private conversations that nobody else can read, or prove.

What happens in WeeChat is handed to otrcore, and nothing else is done here.  Keys and cryptography are
in a process of its own, the engine.  Whatever goes wrong, nothing is sent.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any, Callable, Sequence

import weechat  # type: ignore[import-not-found,unused-ignore]

PYTHON = ""  # `otr install weechat` fills in the Python that runs the engine
PACKAGES = ""  # `otr install weechat` fills in the folder that has the package otrcore

NAME, VERSION, ABOUT = "otr_client", "0.1.0", "Off-the-Record messaging: private conversations"
OLDEST = 0x02090000
OK, EAT = weechat.WEECHAT_RC_OK, weechat.WEECHAT_RC_OK_EAT

if not weechat.register(NAME, "the otrcore authors", VERSION, "MIT", ABOUT, "unloaded", ""):
    raise ImportError("WeeChat does not want it")
if int(weechat.info_get("version_number", "") or 0) < OLDEST:
    weechat.prnt("", "OTR\tThis WeeChat is too old for OTR: 2.9 is the first that will do.")
    raise ImportError("WeeChat is too old")


def find_otrcore(packages: str) -> None:
    """Have otrcore taken from there: Python looks first in whatever folder WeeChat was started in."""
    folder = os.path.join(packages, "otrcore")
    start = os.path.join(folder, "__init__.py")
    spec = spec_from_file_location("otrcore", start, submodule_search_locations=[folder])
    if spec is None or spec.loader is None or not os.path.exists(start):
        raise ImportError(start)
    sys.modules["otrcore"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["otrcore"])


try:
    find_otrcore(PACKAGES or os.environ.get("OTR_CLIENT_PACKAGES", ""))
    from otrcore.scripts.weechat.screen import (
        OLD_HABIT,
        Screen,
        at_once,
        configure,
        context,
        entries,
        is_command,
        make_policy,
        parse,
        policies,
        without_channel,
    )

    from otrcore.client.chat import Chat
except ImportError:
    weechat.prnt(
        "", "OTR\tThere is no OTR, as otrcore is not found: run `otr install weechat` in a terminal."
    )
    raise

TIME = re.compile(r"[@;](time=[^; ]+)")  # when a line was said, in its tags
OFFER = re.compile(" \t  \t\t\t\t \t \t \t  (?:[ \t]{8})*")  # of OTR, in blanks behind a text
TO_SOMEBODY = re.compile(r"[^:]*[\s(]([^\s():]+)\)?: ")  # how WeeChat shows what it sends, without a buffer

screen = Screen()
servers: set[str] = set()
told: set[str] = set()
hooks: list[tuple[str, Sequence[str], str]] = []


def hook(
    failed: Any, verb: str = "done", once: bool = False, **where: Sequence[str]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Hook a function, so that what goes wrong in it ends in `failed`, and is told, or told once.

    After an exception, WeeChat would go on as if there were no hook.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        hooks.extend((kind, names, function.__name__) for kind, names in where.items())

        @functools.wraps(function)
        def guarded(*args: Any) -> Any:
            try:
                result = function(*args)
                if failed == OK and result is None:
                    return OK
                if type(result) is type(failed):
                    return result
                raise TypeError
            except BaseException as error:
                if not (once and function.__name__ in told):
                    told.add(function.__name__)
                    why = f"because of an error inside OTR ({type(error).__name__}): please report it."
                    for buffer in {weechat.current_buffer(), weechat.buffer_search_main()}:
                        weechat.prnt_date_tags(buffer, 0, "no_log,otr", f"OTR\tNot {verb}, {why}")
            return failed

        return guarded

    return decorate


# Messages.


@hook("", "sent", modifier=["irc_out1_PRIVMSG", "irc_out1_NOTICE"])
def outgoing(data: str, modifier: str, server: str, line: str) -> str:
    """Return the line that leaves in place of one that is about to be sent: "" sends nothing."""
    if screen.sending and line == screen.sending:
        return line
    tags, parts = parse(server, line)
    command, to = parts["command"].upper(), parts["channel"]
    # Where a server takes texts of several lines, they come together.
    judged = [(text, screen.chat.outgoing(server, to, text, command)) for text in parts["text"].split("\n")]
    if all(decision.verdict == "pass" for _, decision in judged):
        return line
    left = [(said.to or to, said.text or text) for text, said in judged if said.verdict != "drop"]
    if len({targets for targets, _ in left}) > 1:
        # What is returned has one list of targets, and somebody on it may have to be spared a line.
        screen.torn(server, left)
        return ""
    return f"{tags}{command} {left[0][0]} :" + "\n".join(text for _, text in left) if left else ""


@hook("", "sent", modifier=["irc_out1_CPRIVMSG", "irc_out1_CNOTICE"])
def by_a_channel(data: str, modifier: str, server: str, line: str) -> str:
    """Return the line that leaves in place of a message by a common channel, which is judged as any other."""
    plain = without_channel(server, line)
    leaving: str = outgoing(data, modifier, server, plain)
    return line if leaving == plain else leaving


@hook("", "shown", modifier=["irc_in2_PRIVMSG", "irc_in2_NOTICE"])
def incoming(data: str, modifier: str, server: str, line: str) -> str:
    """Return the line that WeeChat shows in place of one that came: "" shows nothing."""
    if screen.faking:
        return line
    tags, parts = parse(server, line)
    sender, to, command = parts["host"], parts["channel"], parts["command"].upper()
    screen.receiving = True
    try:
        said = TIME.search(tags)
        time = f"@{said[1]} " if said else ""
        judged = screen.chat.incoming(server, sender, to, parts["text"], command, time)
    finally:
        screen.receiving = False
        first = screen.taken(server, sender)
    if judged.verdict == "pass":
        return line
    if judged.verdict == "replace":
        first = f":{sender} {command} {to} :{judged.text}"
    return tags + first if first else ""


@hook({"tags": "no_log"}, "shown with its tags", once=True)
def printed(data: str, line: dict[str, str]) -> dict[str, str]:
    """Return what to change in a line before it is printed; the buffer "" drops it."""
    server, peer = context(line["buffer"])
    tags = line["tags"].split(",")
    changed = {}
    if "self_msg" in tags:
        elsewhere = weechat.buffer_get_string(line["buffer"], "localvar_type") == "server"
        named = TO_SOMEBODY.match(weechat.string_remove_color(line["message"], "")) if elsewhere else None
        to = named[1] if named else peer
        came = screen.faking or any(tag.startswith("host_") for tag in tags)
        if to and not came and screen.held(server, to):
            return {"buffer": ""}  # WeeChat shows what it believes to have sent; what we send, we show
        changed["message"] = OFFER.sub("", line["message"])
    if peer and tags[0] != "no_log" and not screen.view(line["buffer"]).logged:
        changed["tags"] = "no_log," + line["tags"]
    return changed


# The user.


@hook(OK)
def commanded(data: str, buffer: str, typed: str) -> None:
    """Do what `/otr` says, about the conversation of the buffer in which it was typed."""
    server, peer = context(buffer)
    screen.asked_in = buffer
    try:
        screen.chat.command(server, peer, typed)
    finally:
        screen.asked_in = ""


@hook(OK, once=True)
def completed(data: str, item: str, buffer: str, completion: str) -> None:
    """Offer the words that may follow behind `/otr`, in a channel also the nicks there."""
    server, peer = context(buffer)
    typed = weechat.completion_get_string(completion, "args")
    words = screen.chat.complete(server, peer, typed)
    if not peer and " " in typed:
        words += [nick for kind, nick in entries("nicklist", buffer, "type", "name") if kind == "nick"]
    for word in words:
        weechat.completion_list_add(completion, word, 0, weechat.WEECHAT_LIST_POS_SORT)


def is_secret(buffer: str, typed: str) -> bool:
    """Whether what is typed is what a prompt asks for."""
    return buffer in screen.prompts and not is_command(typed)


@hook("", "sent", modifier=["input_text_for_buffer"])
def typed_in(data: str, modifier: str, buffer: str, typed: str) -> str:
    """Return "" for what a prompt asks for, which is handed on and goes nowhere else; all else as it is."""
    if not is_secret(buffer, typed):
        return typed
    screen.answered(buffer, typed)
    return ""


@hook(OK, command_run=["/input return"])
def entered(data: str, buffer: str, pressed: str) -> Any:
    """Return WEECHAT_RC_OK_EAT if Enter answers a prompt with nothing: WeeChat hands on no empty text."""
    if buffer not in screen.prompts or weechat.buffer_get_string(buffer, "input"):
        return OK
    screen.answered(buffer, "")
    return EAT


@hook("", "remembered", modifier=["history_add"])
def remembered(data: str, modifier: str, buffer: str, typed: str) -> str:
    """Return "" for what the history of typed lines must not keep: whatever has a secret in it."""
    return "" if is_secret(buffer, typed) or OLD_HABIT.match(typed) else typed


@hook("", "shown", once=True, modifier=["input_text_display"])
def input_hidden(data: str, modifier: str, buffer: str, typed: str) -> str:
    """Return what the input line shows: an asterisk for each character of a secret."""
    return "*" * len(typed) if is_secret(buffer, typed) else typed


@hook("", "shown", once=True, modifier=["input_text_display_with_cursor"])
def input_marked(data: str, modifier: str, buffer: str, typed: str) -> str:
    """Return the input line behind its mark, which says whether what is typed leaves encrypted."""
    return screen.mark(buffer) + typed


@hook("", "shown", once=True)
def bar_item(data: str, item: str, window: str, buffer: str, extra: Any) -> str:
    """Return the text of the bar item `otr`: "" where there is no conversation."""
    buffer = buffer or weechat.current_buffer()
    return screen.view(buffer).text if context(buffer)[1] else ""


@hook(OK, once=True, signal=["buffer_switch", "window_switch"])
def redraw(data: str, changed: str, value: str = "") -> None:
    """Have the bar item made anew, as another buffer is looked at, or an option has another value."""
    weechat.bar_item_update("otr")


@hook(weechat.WEECHAT_CONFIG_OPTION_SET_ERROR)
def policy_made(data: str, file: str, section: str, name: str, value: str) -> Any:
    """Return WEECHAT_CONFIG_OPTION_SET_OK_SAME_VALUE once there is an option for a new policy."""
    make_policy(file, section, name, value)
    screen.chat.settings(policies=list(policies()))
    return weechat.WEECHAT_CONFIG_OPTION_SET_OK_SAME_VALUE


@hook(OK)
def policy_changed(data: str, changed: str) -> None:
    """Hand on all policies, as the user has changed or deleted one."""
    screen.chat.settings(policies=list(policies()))


# What else happens.


@hook(OK)
def on_time(number: str, remaining: Any) -> None:
    """Do the step that a timer was hooked for by `Screen.later`."""
    screen.from_top(screen.steps.pop(number))


@hook(OK, once=True)
def on_readable(data: str, descriptor: Any) -> None:
    """Take in what the engine says, on the descriptor that `Screen.watch` has hooked."""
    screen.from_top(screen.chat.on_readable)


@hook(OK, signal=["*,irc_raw_in2_376", "*,irc_raw_in2_422"])
def welcomed(data: str, signal: str, line: str) -> None:
    """Introduce a server whose greeting has ended, or that has none: its numerics 005 have all come."""
    introduce(signal.partition(",")[0])


def introduce(server: str) -> None:
    """Tell of a server, or of all, that we are registered with."""
    fields = "name", "current_address", "nick", "isupport"
    for name, address, nick, isupport in entries("irc_server", server, *fields):
        if nick and (server or isupport):  # else it is being connected
            servers.add(name)
            screen.chat.connected(name, address, nick, None, isupport.split())


@hook(OK, signal=["*,irc_raw_in2_401", "*,irc_raw_in2_quit", "*,irc_raw_in2_nick"])
def heard(data: str, signal: str, line: str) -> None:
    """Somebody, perhaps ourselves, has another nick; or is not there any more."""
    server, _, kind = signal.partition(",irc_raw_in2_")
    _, parts = parse(server, line)
    behind = parts["arguments"]
    if kind == "401":
        nick, _, why = behind.partition(" ")[2].partition(" ")
        screen.chat.peer_gone(server, nick, why.lstrip(":"))
    elif kind.lower() == "quit":
        screen.chat.peer_gone(server, parts["nick"], behind.lstrip(":"))
    else:
        screen.chat.nick_changed(server, parts["nick"], behind.lstrip(":"))


@hook(OK, signal=["irc_server_disconnected"])
def disconnected(data: str, signal: str, server: str) -> None:
    """The connection to a server is gone: nobody there can be told any more."""
    servers.discard(server)
    screen.chat.disconnected(server)


@hook(OK, command_run=["/disconnect*", "/reconnect*"])
def disconnecting(data: str, buffer: str, typed: str) -> None:
    """End conversations while lines still leave, as the user is about to disconnect."""
    words = set(typed.split())
    screen.end_all(servers if "-all" in words else servers & words or {context(buffer)[0]})


@hook(OK, signal=["irc_pv_opened"])
def opened(data: str, signal: str, buffer: str) -> None:
    """Fill in the bars and local variables of a conversation's new buffer."""
    screen.draw(*context(buffer))


@hook(OK, signal=["buffer_closing"])
def closing(data: str, signal: str, buffer: str) -> None:
    """End the conversation of a buffer that is closed; with a server's buffer, all that are on it."""
    screen.prompts.pop(buffer, None)
    server, peer = context(buffer)
    if weechat.info_get("weechat_upgrading", "") == "1":
        return  # it is opened again in a moment
    if peer:
        screen.chat.buffer_closed(server, peer)
    elif weechat.buffer_get_string(buffer, "localvar_type") == "server":
        screen.end_all({server})


@hook(OK, signal=["2000|quit", "2000|upgrade"])
def leaving(data: str, signal: str, value: str) -> None:
    """Before WeeChat upgrades itself or quits, leave what is known; at its end, end every conversation."""
    screen.keep()
    if "quit" in (signal, value):
        with at_once(servers):
            screen.chat.quit()


@hook(OK)
def unloaded() -> None:
    """Leave what is known to the script that is loaded next; encrypted conversations wait in the engine."""
    screen.keep()
    if weechat.info_get("weechat_upgrading", "") != "1":
        screen.chat.unload()


def begin() -> None:
    """Hook everything, and find or start the engine."""
    if ["otr"] in entries("python_script", "", "name"):
        weechat.prnt(
            "", "OTR\tweechat-otr (otr.py) is loaded too: /python unload otr, or neither of the two works."
        )
    engine = [PYTHON or os.environ.get("OTR_CLIENT_PYTHON", ""), "-I", "-m", "otrcore.engine"]
    client = "weechat " + weechat.info_get("version", "")
    screen.chat = Chat(screen, engine, VERSION, client, screen.kept())
    configure()
    for kind, names, function in hooks:
        for name in names:
            getattr(weechat, "hook_" + kind)(name, function, "")
    weechat.hook_line("", "irc.*", "", "printed", "")
    weechat.bar_item_new("(extra)otr", "bar_item", "")
    weechat.hook_completion("otr_words", "words of /otr", "completed", "")
    usage = (
        "COMMAND [NICK [SERVER]] [ARGUMENT]",
        "/otr help lists the commands. In a conversation, leave NICK out.",
    )
    weechat.hook_command("otr", ABOUT, *usage, "%(otr_words)|%*", "commanded", "")
    screen.chat.begin()
    introduce("")
    for (name,) in entries("buffer", "irc.*", "full_name"):
        screen.adopt(weechat.buffer_search("==", name))


begin()
