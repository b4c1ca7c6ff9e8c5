"""Whatever way a text takes out of HexChat: it leaves encrypted, or not at all, and never readable."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients.drivers.desktop import give
from tests.clients.drivers.hexchat import HexChat, Line, private, status
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.proxy import without_upkeep
from tests.clients.drivers.waiting import wait_for
from tests.clients.hexchat_support import notes, readable, secure, start, talk, wait_note


class Way(NamedTuple):
    """A way for a text to take."""

    how: str
    """Into the input box, on the bus (with the tab in front, or that of the server), or by an addon."""
    line: str
    """With NICK, OWN nick, FILE and TEXT in it."""
    file: bytes = b"TEXT\n"
    times: int = 1
    """How often the text leaves."""


TYPED, PASTED, IN_TAB, ELSEWHERE, ADDON = "typed", "pasted", "in the tab", "elsewhere", "by an addon"

WAYS = {
    "typed": Way(TYPED, "TEXT"),
    "typed with blanks": Way(TYPED, "   TEXT  "),
    "two slashes": Way(TYPED, "//TEXT"),
    "slash and blank": Way(TYPED, "/ TEXT"),
    "pasted": Way(PASTED, "TEXT, a line\n/me TEXT, another\n//TEXT", times=3),
    "/me": Way(TYPED, "/me TEXT"),
    "/action": Way(IN_TAB, "/action TEXT"),
    "/say": Way(IN_TAB, "/say TEXT"),
    "/msg": Way(TYPED, "/msg NICK TEXT"),
    "/msg .": Way(IN_TAB, "/msg . TEXT"),
    "/m": Way(IN_TAB, "/m NICK TEXT"),
    "/m from elsewhere": Way(ELSEWHERE, "/m NICK TEXT"),
    "/msg from elsewhere": Way(ELSEWHERE, "/msg NICK TEXT"),
    "/msg . from elsewhere": Way(ELSEWHERE, "/msg . TEXT"),
    "/msg with quotation marks": Way(ELSEWHERE, '/msg "NICK" TEXT'),
    "/msg in capitals": Way(ELSEWHERE, "/MSG NICK TEXT"),
    "/query": Way(IN_TAB, "/query NICK TEXT"),
    "/query from elsewhere": Way(ELSEWHERE, "/query NICK TEXT"),
    "/query -nofocus": Way(ELSEWHERE, "/query -nofocus NICK TEXT"),
    "/ctcp ACTION": Way(ELSEWHERE, "/ctcp NICK ACTION TEXT"),
    "/ctcp action": Way(ELSEWHERE, "/ctcp NICK action TEXT"),
    "/quote": Way(ELSEWHERE, "/quote PRIVMSG NICK :TEXT"),
    "/quote without a colon": Way(ELSEWHERE, "/quote PRIVMSG NICK TEXT"),
    "/quote in small letters": Way(ELSEWHERE, "/quote privmsg NICK :TEXT"),
    "/quote with blanks": Way(ELSEWHERE, "/quote   PRIVMSG   NICK   :TEXT"),
    "/quote with a prefix": Way(ELSEWHERE, "/quote :OWN PRIVMSG NICK :TEXT"),
    "/quote with an action": Way(ELSEWHERE, "/quote PRIVMSG NICK :\x01ACTION TEXT\x01"),
    "/raw": Way(ELSEWHERE, "/raw PRIVMSG NICK :TEXT"),
    "/privmsg": Way(ELSEWHERE, "/privmsg NICK :TEXT"),
    "/allserv": Way(ELSEWHERE, "/allserv msg NICK TEXT"),
    "/doat": Way(ELSEWHERE, "/doat NICK say TEXT"),
    "/timer": Way(IN_TAB, "/timer 0.1 say TEXT"),
    "/timer from elsewhere": Way(ELSEWHERE, "/timer 0.1 msg NICK TEXT"),
    "/exec -o": Way(IN_TAB, "/exec -o cat FILE"),
    "/exec -o with bytes that are no UTF-8": Way(IN_TAB, "/exec -o cat FILE", b"caf\xe9 TEXT\n"),
    "/load -e": Way(ELSEWHERE, "/load -e spoken", b"msg NICK TEXT\n/msg NICK TEXT\n", times=2),
    "an addon": Way(ADDON, "say TEXT"),
    "an addon's /msg": Way(ADDON, "msg NICK TEXT"),
    "an addon's two lines": Way(ADDON, "QUOTE PRIVMSG NICK :TEXT\r\nPRIVMSG NICK :TEXT", times=2),
    "an addon's line behind another": Way(ADDON, "QUOTE TIME\nPRIVMSG NICK :TEXT"),
}
LINES_IN_ONE = {
    "an addon's lines": Way(ADDON, "say TEXT\nTEXT", times=2),
    "an addon's lines by /msg": Way(ADDON, "msg NICK TEXT\nTEXT", times=2),
}
NEVER = {
    "/notice": Way(ELSEWHERE, "/notice NICK TEXT"),
    "/quote NOTICE": Way(ELSEWHERE, "/quote NOTICE NICK :TEXT"),
    "/ctcp": Way(ELSEWHERE, "/ctcp NICK ANSWER TEXT"),
    "/nctcp": Way(ELSEWHERE, "/nctcp NICK ANSWER TEXT"),
    "/quote with CTCP": Way(ELSEWHERE, "/quote PRIVMSG NICK :\x01ANSWER TEXT\x01"),
}
# The server does not know these, but others do.
BY_A_CHANNEL = {
    "/cprivmsg": Way(ELSEWHERE, "/cprivmsg NICK #room :TEXT"),
    "/quote CPRIVMSG": Way(ELSEWHERE, "/quote CPRIVMSG NICK #room :TEXT"),
}
ALL = WAYS | LINES_IN_ONE | NEVER | BY_A_CHANNEL
# One for each way into the addon.
FEW = [
    "typed",
    "pasted",
    "/me",
    "/say",
    "/msg",
    "/msg .",
    "/query -nofocus",
    "/ctcp ACTION",
    "/quote",
    "/privmsg",
    "/timer",
    "/exec -o",
    "an addon",
    *NEVER,
]

OWN = ("Your Message", "Your Action", "Message Send", "Notice Send", "CTCP Send")
THEIRS = ("Private Message to Dialog", "Private Action to Dialog")

# What offers OTR at the end of a text that nobody sees.
_OFFER = re.compile("[ \t]{8,}")

_numbers = count(1)


def canary() -> str:
    """Return a text that was never said before."""
    return f"canary no. {next(_numbers)} sings"


def send(client: HexChat, way: Way, nick: str, text: str) -> None:
    """Go this way, from a tab of a conversation with somebody, and of the server."""
    file = client.data / "spoken"
    file.write_bytes(way.file.replace(b"NICK", nick.encode()).replace(b"TEXT", text.encode()))
    give(file)
    line = way.line.replace("NICK", nick).replace("OWN", client.nick).replace("FILE", str(file))
    line = line.replace("TEXT", text)
    if "/msg ." in line:  # HexChat's memory is of the tab
        client.command(f"/msg {nick} first, {text}", status() if way.how == ELSEWHERE else private(nick))
    if way.how == TYPED:
        client.type(line, private(nick))
    elif way.how == PASTED:
        client.paste(line, private(nick))
    elif way.how == ADDON:
        client.evaluate(f"hexchat.command({line!r})", private(nick))
    else:
        client.command(line, status() if way.how == ELSEWHERE else private(nick))


def times(way: Way) -> int:
    """Tell in how many lines the text is."""
    return way.times + ("/msg ." in way.line)


def shown(client: HexChat, text: str, *events: str) -> list[Line]:
    """Return the lines of conversations that have a text."""
    return [line for line in client.printed(None, *events) if text in line.text]


def written(client: HexChat, text: str) -> list[Path]:
    """Return the files that have a text, but that from which it was sent."""
    return [path for path in client.files_with(text) if path.name != "spoken"]


class Listener:
    """Somebody who is there, and says nothing."""

    def __init__(self, nick: str, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.sendall(f"NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\n".encode())
        heard = b""
        while b" 001 " not in heard:
            heard += self._socket.recv(4096)

    def __enter__(self) -> None:
        """Stay."""

    def __exit__(self, *error: object) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[HexChat]]:
    """Alice and bob have our addon, carol has not."""
    folder = tmp_path_factory.mktemp("ways")
    with ExitStack() as running:
        server = running.enter_context(Ngircd(folder / "ngircd"))
        carol = running.enter_context(HexChat("carol", folder / "hexchat-carol", server.port))
        running.enter_context(Listener("dave", server.port))
        settings = {"flood_ctcp_num": "1000"}  # after so many, HexChat answers none
        alice, bob = start(running, folder, server.port, "alice", "bob", settings=settings)
        for client in (alice, bob, carol):
            client.command("/join #room", status())
            client.wait(lambda client=client: private("#room") in client.tabs(), "the room")  # type: ignore[misc]
        alice.open_query("bob")
        secure(alice, bob)
        yield [alice, bob, carol]
        assert [client.errors() for client in (alice, bob, carol)] == [[], [], []]


@pytest.mark.parametrize("name", WAYS | LINES_IN_ONE | BY_A_CHANNEL)
def test_encrypted(people: list[HexChat], name: str) -> None:
    alice, bob, _ = people
    text, way = canary(), ALL[name]
    send(alice, way, "bob", text)
    bob.wait(lambda: len(shown(bob, text, *THEIRS)) >= times(way), f"{text!r} {times(way)} times")
    talk(alice, bob, f"after {name}")
    assert {line.where for line in shown(bob, text)} == {private("alice")}
    assert len(shown(bob, text)) == times(way)
    own = shown(alice, text)
    assert {line.where for line in own} == {private("bob")}
    assert {line.event for line in own} <= {"Your Message", "Your Action"}
    assert len(own) == times(way)
    assert not readable(people, text)
    assert not written(alice, text)
    assert not written(bob, text)


@pytest.mark.parametrize("name", NEVER)
def test_what_cannot_be_encrypted_is_not_sent(people: list[HexChat], name: str) -> None:
    alice, bob, _ = people
    text = canary()
    send(alice, NEVER[name], "bob", text)
    wait_note(alice, "bob", text)
    assert notes(alice, "bob")[-2].startswith("Not sent: notices and CTCP cannot be encrypted.")
    talk(alice, bob, f"after {name}")
    assert len(shown(alice, text)) == 1
    assert not shown(bob, text)
    assert not readable(people, text)
    assert not written(alice, text)


@pytest.mark.parametrize(
    "line",
    [
        "/msg bob,carol TEXT",
        "/msg carol,bob TEXT",
        "/quote PRIVMSG bob,carol :TEXT",
        "/privmsg bob,carol :TEXT",
    ],
)
def test_to_somebody_else_as_well(people: list[HexChat], line: str) -> None:
    alice, bob, carol = people
    text = canary()
    alice.command(line.replace("TEXT", text), status())
    bob.wait(lambda: shown(bob, text, *THEIRS), "it encrypted")
    carol.wait(lambda: shown(carol, text, *THEIRS), "it as it is")
    assert len(shown(bob, text)) == len(shown(carol, text)) == 1
    assert [_OFFER.sub("", line) for line in sent(alice, text)] == [f"PRIVMSG carol :{text}"]
    assert not readable([bob], text)


@pytest.mark.parametrize("nick", ["BOB", "bob@irc.loopback.test", "bob!~bob@127.0.0.1"])
def test_by_another_name(people: list[HexChat], nick: str) -> None:
    alice, bob, _ = people
    text = canary()
    alice.command(f"/msg {nick} {text}", status())
    alice.command(f"/quote PRIVMSG {nick} :{text}", status())
    talk(alice, bob, f"after {nick}")
    assert not readable(people, text)
    assert shown(alice, text)


@pytest.mark.parametrize("name", WAYS | NEVER | BY_A_CHANNEL)
def test_to_others_it_goes_as_without_us(people: list[HexChat], name: str) -> None:
    """Alice's HexChat sends and shows what carol's does."""
    alice, _, carol = people
    way, end = ALL[name], canary()
    # HexChat does not /query a channel.
    nicks = ["dave"] if name not in FEW or "query" in name else ["dave", "#room", "NickServ"]
    texts = [canary() for _ in nicks]
    found = []
    for client in (alice, carol):
        before = len(client.wire.sent()), len(client.printed())
        for nick, text in zip(nicks, texts, strict=True):
            if nick != "#room":
                client.open_query(nick)
            send(client, way, nick, text)
            client.wait(lambda: len(sent(client, text)) >= times(way), text)  # noqa: B023
        client.command(f"/quote PING :{end}", status())
        client.wait(lambda: f"PING :{end}" in client.wire.sent(), "the end")  # noqa: B023
        leaving = without_upkeep(client.wire.sent()[before[0] :])
        own = [line for line in client.printed()[before[1] :] if line.event in OWN]
        found.append(
            (
                [_OFFER.sub("", line).replace(client.nick, "OWN") for line in leaving],
                [(line.where.name, line.event, line.text) for line in own],
            )
        )
    assert found[0] == found[1]


def sent(client: HexChat, text: str) -> list[str]:
    """Return the lines that have left with a text."""
    return [line for line in client.wire.sent() if text in line]


def test_a_chat_past_the_server_is_left_alone(people: list[HexChat]) -> None:
    alice, bob, _ = people
    text, before = canary(), len(notes(alice, "bob"))
    alice.command("/msg bob first", status())
    for line in (f"/msg =bob {text}", f"/msg . {text}"):
        alice.command(line, status())
    talk(alice, bob, canary())
    assert not shown(alice, text)
    assert not shown(bob, text)
    assert not readable(people, text)
    assert len(notes(alice, "bob")) == before


def test_a_file_that_is_no_utf8(people: list[HexChat]) -> None:
    """Python is not asked about a line that it cannot decode."""
    alice, bob, _ = people
    text = canary()
    # HexChat takes a line of a file in parts of 1023 bytes: here each of them ends within a sign.
    torn = f"msg bob {text} ".encode().ljust(1022, b"x") + "\N{EURO SIGN}".encode() * 1000
    for content in (b"msg bob caf\xe9 TEXT\n", torn):
        send(alice, Way(ELSEWHERE, "/load -e spoken", content), "bob", text)
        alice.wait_printed("is not in UTF-8")
    talk(alice, bob, canary())
    assert not readable(people, text)
    assert not shown(bob, text)


def test_whom_a_dot_means(people: list[HexChat]) -> None:
    """What was encrypted is nothing that HexChat has heard of."""
    alice, bob, carol = people
    text = canary()
    alice.command(f"/msg carol {text} 1", status())
    alice.command(f"/msg bob {text} 2", status())
    alice.command(f"/msg . {text} 3", status())
    bob.wait(lambda: len(shown(bob, text)) == 2, "both")
    alice.command(f"/msg dave {text} 4", status())
    alice.command(f"/msg . {text} 5", status())
    alice.wait(lambda: len(sent(alice, text)) == 3, "the others")
    talk(alice, bob, canary())
    assert not readable([bob], text)
    assert [_OFFER.sub("", line) for line in sent(alice, text)] == [
        f"PRIVMSG carol :{text} 1",
        f"PRIVMSG dave :{text} 4",
        f"PRIVMSG dave :{text} 5",
    ]
    assert [_OFFER.sub("", line.text) for line in shown(carol, text)] == [f"{text} 1"]


@pytest.mark.parametrize("kind", ["VERSION", "TIME", "PING 12345"])
def test_what_the_client_answers_by_itself(people: list[HexChat], kind: str) -> None:
    alice, bob, _ = people
    before = len(alice.wire.sent()), len(notes(alice, "bob"))
    line = f"RECV :bob!~bob@127.0.0.1 PRIVMSG alice :\x01{kind}\x01"
    alice.evaluate(f"hexchat.command({line!r})", status())
    talk(alice, bob, f"after {kind}")
    answers = [line for line in alice.wire.sent()[before[0] :] if line.startswith("NOTICE bob :")]
    assert [line.split()[2] for line in answers] == [f":\x01{kind.split(maxsplit=1)[0]}"]
    assert notes(alice, "bob")[before[1] :] == []


@pytest.mark.parametrize("name", FEW)
def test_after_the_other_has_ended_it(people: list[HexChat], name: str) -> None:
    alice, bob, _ = people
    over = "has ended the encrypted conversation"
    if not notes(alice, "bob", over):
        bob.say("alice", "/otr end")
        wait_note(alice, "bob", over)
    text, way = canary(), ALL[name]
    send(alice, way, "bob", text)
    wait_note(alice, "bob", text, times(way))
    assert len(shown(alice, text)) == len(notes(alice, "bob", text))
    assert not shown(bob, text)
    assert not readable(people, text)


@pytest.mark.parametrize("name", [name for name in FEW if name not in NEVER])
def test_while_it_is_being_set_up(people: list[HexChat], name: str) -> None:
    """Carol's HexChat has no OTR: what is typed waits for an answer that never comes."""
    alice, _, carol = people
    asking = "Asking carol for an encrypted conversation"
    if not notes(alice, "carol", asking):
        alice.say("carol", "/otr start")
        carol.wait_printed("?OTRv", private("alice"))
    text, way = canary(), ALL[name]
    waits = "Waiting: it leaves encrypted once"
    before = len(notes(alice, "carol", waits))
    send(alice, way, "carol", text)
    wait_note(alice, "carol", waits, before + times(way))
    assert not readable(people, text)
    assert not written(alice, text)


@pytest.mark.parametrize("name", FEW)
def test_without_a_connection(people: list[HexChat], name: str) -> None:
    """It is not sent, now or later."""
    alice, _, _ = people
    if not alice.evaluate("hexchat.get_info('server') is None", status()):
        alice.command("/discon", status())
        wait_for(lambda: alice.printed(status(), "Disconnected"), "the end")
    text, way = canary(), ALL[name]
    send(alice, way, "bob", text)
    assert not [line for line in shown(alice, text) if line.event]
    assert not readable(people, text)
    assert not written(alice, text)
