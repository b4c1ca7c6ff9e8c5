"""Whatever way a text takes out of WeeChat: it leaves encrypted, or not at all, and never readable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.weechat import WeeChat, private, status
from tests.clients.weechat_support import notes, readable, secure, start, talk, wait_note

ANOTHER_SCRIPT = """\
import weechat

weechat.register("another", "test", "1", "MIT", "sends what it is told to", "", "")
weechat.hook_command("another_says", "", "", "", "", "says", "")
weechat.hook_command("another_signals", "", "", "", "", "signals", "")


def says(data, buffer, arguments):
    nick, _, text = arguments.partition(" ")
    weechat.command(weechat.buffer_search("irc", "test." + nick), text)
    return weechat.WEECHAT_RC_OK


def signals(data, buffer, arguments):
    nick, _, text = arguments.partition(" ")
    weechat.hook_signal_send(
        "irc_input_send", weechat.WEECHAT_HOOK_SIGNAL_STRING, "test;" + nick + ";;;" + text
    )
    return weechat.WEECHAT_RC_OK
"""

# What is typed, with NICK and TEXT in it, in the buffer of the conversation or in another one.
IN_CONVERSATION = {
    "typed": "TEXT",
    "/me": "/me TEXT",
    "/say": "/say TEXT",
    "/msg": "/msg NICK TEXT",
    "/msg *": "/msg * TEXT",
    "/query": "/query NICK TEXT",
    "pasted": "TEXT, a line\nTEXT, another\nTEXT",
    "/input send": "/input send TEXT",
}
ELSEWHERE = {
    "/msg from elsewhere": "/msg NICK TEXT",
    "/msg -server": "/msg -server test NICK TEXT",
    "/query from elsewhere": "/query NICK TEXT",
    "/quote": "/quote PRIVMSG NICK :TEXT",
    "/quote in small letters": "/quote privmsg NICK :TEXT",
    "/quote with blanks": "/quote   PRIVMSG   NICK   :TEXT",
    "/quote with a prefix": "/quote :alice PRIVMSG NICK :TEXT",
    "/quote CPRIVMSG": "/quote CPRIVMSG NICK #room :TEXT",
    "/quote CPRIVMSG with blanks": "/quote  cprivmsg   NICK   #room   :TEXT",
    "/repeat": "/repeat -interval 1ms 2 /msg NICK TEXT",
    "another script": "/another_says NICK TEXT",
    "another script's /msg": "/another_says NICK /msg NICK TEXT",
    "another script's signal": "/another_signals NICK TEXT",
    "in capitals": "/msg BOB TEXT",
    "to two": "/msg bob,carol TEXT",
    "to two by /quote": "/quote PRIVMSG bob,carol :TEXT",
}
WAYS = [*IN_CONVERSATION, *ELSEWHERE]

NEVER = {
    "/notice": "/notice NICK TEXT",
    "/quote NOTICE": "/quote NOTICE NICK :TEXT",
    "/quote CNOTICE": "/quote CNOTICE NICK #room :TEXT",
    "/ctcp": "/ctcp NICK ANSWER TEXT",
}

_numbers = count(1)


def canary() -> str:
    """Return a text that was never said before."""
    return f"canary no. {next(_numbers)} sings"


def send(alice: WeeChat, way: str, nick: str, text: str) -> None:
    """Go this way."""
    line = (IN_CONVERSATION | ELSEWHERE | NEVER)[way].replace("NICK", nick).replace("TEXT", text)
    alice.type(line, private(nick) if way in IN_CONVERSATION else status())


def read_by_others(clients: list[WeeChat], text: str) -> list[str]:
    """Return the lines in which a text can be read that was meant for bob."""
    return [line for line in readable(clients, text) if "PRIVMSG carol" not in line]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[WeeChat]]:
    """Alice and bob have our script, carol has not."""
    folder = tmp_path_factory.mktemp("ways")
    with ExitStack() as running:
        server = running.enter_context(Ngircd(folder / "ngircd"))
        alice, bob = start(running, folder, server.port, "alice", "bob")
        carol = running.enter_context(WeeChat("carol", folder / "carol", server.port))
        alice.load("another", ANOTHER_SCRIPT)
        talk(alice, bob, "hello")
        secure(alice, bob)
        yield [alice, bob, carol]
        assert alice.errors() == bob.errors() == []


@pytest.mark.parametrize("way", WAYS)
def test_encrypted(people: list[WeeChat], way: str) -> None:
    alice, bob, carol = people
    text = canary()
    send(alice, way, "bob", text)
    times = {"pasted": 3, "/repeat": 2}.get(way, 1)
    bob.wait_printed(text, private("alice"), times)
    assert not read_by_others(people, text)
    own = [line for line in alice.printed() if text in line.text and "carol" not in line.text]
    assert {line.buffer for line in own} == {private("bob")}
    assert len(own) == times
    assert all("self_msg" in line.tags for line in own)
    if "two" in way:
        carol.wait_received("alice", text)
        assert readable([carol], text)
    else:
        assert not alice.files_with(text)


@pytest.mark.parametrize("way", NEVER)
def test_what_cannot_be_encrypted_is_not_sent(people: list[WeeChat], way: str) -> None:
    alice, bob, _ = people
    text = canary()
    send(alice, way, "bob", text)
    wait_note(alice, "bob", text)
    assert notes(alice, "bob")[-2].startswith("Not sent: notices and CTCP cannot be encrypted.")
    talk(alice, bob, "after that")
    assert not read_by_others(people, text)
    assert not [line for line in bob.printed() if text in line.text]
    assert not alice.files_with(text)


def test_in_a_channel_nothing_changes(people: list[WeeChat]) -> None:
    for client in people:
        client.type("/join #room", status())
        client.wait(lambda client=client: private("#room") in client.buffers(), "the room")  # type: ignore[misc]
    text = f"hey bob: {canary()}"
    people[0].type(text, private("#room"))
    people[1].wait_printed(text, private("#room"))
    people[2].wait_printed(text, private("#room"))
    assert f"PRIVMSG #room :{text}" in people[0].wire.sent()
    assert [line.text for line in people[0].printed(private("#room"), "self_msg")] == [text]
    people[0].type(f"/notice #room {text} twice", private("#room"))
    people[1].wait_printed(f"{text} twice", private("#room"))


def test_to_a_service_it_goes_as_without_us(people: list[WeeChat]) -> None:
    alice = people[0]
    for line in (f"CPRIVMSG NickServ #room :{canary()}", f"CNOTICE NickServ #room :{canary()}"):
        alice.command(f"/quote {line}", status())
        alice.wait(lambda line=line: line in alice.wire.sent(), line)  # type: ignore[misc]


@pytest.mark.parametrize("way", [*WAYS, *NEVER])
def test_after_the_other_has_ended_it(people: list[WeeChat], way: str) -> None:
    alice, bob, _ = people
    if alice.variables(private("bob"))["otr_encrypted"] == "true":
        bob.say("alice", "/otr end")
        wait_note(alice, "bob", "has ended the encrypted conversation")
    text = canary()
    send(alice, way, "bob", text)
    wait_note(alice, "bob", "your text: ")
    alice.wait(lambda: text in notes(alice, "bob")[-1], "the text, given back")
    assert not read_by_others(people, text)
    assert not [
        line
        for line in alice.printed()
        if text in line.text and "self_msg" in line.tags and "carol" not in line.text
    ]
    if "two" not in way:
        assert not alice.files_with(text)


@pytest.mark.parametrize("way", [way for way in WAYS if "NICK" in ELSEWHERE.get(way, "NICK")])
def test_while_it_is_being_set_up(people: list[WeeChat], way: str) -> None:
    """Carol's WeeChat has no OTR: what is typed waits for an answer that never comes."""
    alice, _, carol = people
    if not notes(alice, "carol"):
        alice.say("carol", "/otr start")
        carol.wait_printed("?OTRv", private("alice"))
    text = canary()
    waiting = len(notes(alice, "carol", "Waiting: it leaves encrypted once"))
    send(alice, way, "carol", text)
    wait_note(alice, "carol", "Waiting: it leaves encrypted once", waiting + 1)
    assert alice.wait_printed(text, private("carol")).tags[0] == "no_log"
    assert not readable(people, text)
    assert not alice.files_with(text)
