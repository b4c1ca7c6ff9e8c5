"""What users decide about a peer by commands: trust, policies, held texts, clients."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore.errors import StoreError
from otrcore.events import Held, NoCommonVersion, Queued, SessionEnd, SessionEnded, SessionOpened
from otrcore.irc.actions import ShowNote, Verdict
from otrcore.irc.host import IrcHost
from otrcore.irc.isupport import Features
from otrcore.irc.memories import MAX_MEMORIES, RecentMemories, merged
from otrcore.irc.saving import NOT_SAVED
from otrcore.memory import MAX_KEYS, STRANGER, KnownKey, PeerMemory
from otrcore.model import Fingerprint, MessageState, Protection, Trust
from otrcore.policy import ALWAYS, DEFAULT, MANUAL, NEVER, OPPORTUNISTIC, PRESETS
from otrcore.wire.text import TAG_BASE
from tests.irc.network import Network, User, carried
from tests.keepers import Given
from tests.pair import identity, speaking

TEXT = "the text that matters"


def last_note(user: User) -> str:
    return "\n".join([action for action in user.shown if isinstance(action, ShowNote)][-1].lines)


def trust(user: User, peer: str) -> Trust:
    return user.account.conversation(peer).trust


def fingerprint(name: str) -> Fingerprint:
    return identity(name).fingerprint_4


def swap(network: Network, old: User, key: str) -> User:
    """Somebody else, with another key, comes to the nick."""
    network.users.remove(old)
    return network.join(old.nick, key=key)


# ---- trust


@pytest.mark.parametrize("form", ["{}", "{0}", "lower", "joined", "0x"])
def test_trust_by_a_fingerprint_that_was_pasted(secured: Network, alice: User, form: str) -> None:
    shown = str(fingerprint("bob"))
    pasted = {
        "lower": shown.lower(),
        "joined": shown.replace(" ", ""),
        "0x": "0x" + shown.replace(" ", "").lower(),
    }.get(form, shown)
    alice.command("bob", f"trust {pasted}")
    assert trust(alice, "bob") is Trust.COMPARED
    assert "You have verified bob. bob has not thereby verified you." in last_note(alice)
    alice.command("bob", "status")
    assert "and verified by comparing fingerprints" in last_note(alice)
    assert secured.lines == [], "the peer hears nothing of it"


def test_trust_without_a_fingerprint(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", "trust")
    assert trust(alice, "bob") is Trust.COMPARED
    assert trust(bob, "alice") is Trust.NONE
    alice.command("bob", "trust")
    assert "already" in last_note(alice)
    alice.command("bob", "distrust")
    assert trust(alice, "bob") is Trust.NONE
    assert "not verified any more" in last_note(alice)
    alice.command("bob", "distrust")
    assert "nothing to take back" in last_note(alice)


@pytest.mark.parametrize("whose", ["alice", "mallory"])
def test_another_fingerprint_is_a_loud_warning_and_no_trust(
    secured: Network, alice: User, whose: str
) -> None:
    alice.command("bob", f"trust {fingerprint(whose)}")
    assert last_note(alice).startswith("WARNING: that is NOT the fingerprint")
    assert str(fingerprint("bob")) in last_note(alice)
    assert trust(alice, "bob") is Trust.NONE


def test_a_key_that_was_used_earlier_is_not_the_one_that_is_used(
    secured: Network, alice: User, bob: User
) -> None:
    """Who compares a card with a conversation wants to know about this conversation."""
    alice.end("bob")
    swap(secured, bob, "mallory")
    alice.start("bob")
    alice.command("bob", f"trust {fingerprint('bob')}")
    assert last_note(alice).startswith("WARNING")
    assert not alice.account.conversation("bob").memory.verified


@pytest.mark.parametrize("typed", ["abc", "0" * 39, "g" * 40, "0" * 41, "\N{FULLWIDTH DIGIT ONE}" * 40])
def test_what_is_no_fingerprint_is_told_so(secured: Network, alice: User, typed: str) -> None:
    for command in ("trust", "distrust"):
        alice.command("bob", f"{command} {typed}")
        assert "That is no fingerprint" in last_note(alice)
    assert trust(alice, "bob") is Trust.NONE


def test_trust_survives_the_conversation_and_ends_with_distrust(
    secured: Network, alice: User, bob: User
) -> None:
    alice.command("bob", "trust")
    alice.end("bob")
    bob.end("alice")
    alice.do(alice.host.gone("bob", "quit"))
    assert len(alice.account) == 0
    alice.clear()
    alice.start("bob")
    assert any(line.startswith("Verified: you have compared") for line in alice.notes())
    alice.end("bob")
    alice.command("bob", "distrust")
    assert str(fingerprint("bob")) in last_note(alice)
    alice.start("bob")
    assert trust(alice, "bob") is Trust.NONE


def test_a_verified_key_that_changes_is_told_first_and_loudest(
    secured: Network, alice: User, bob: User
) -> None:
    alice.command("bob", "trust")
    alice.end("bob")
    swap(secured, bob, "mallory")
    for _ in range(2):
        alice.clear()
        alice.start("bob")
        (opened,) = [a for a in alice.shown if isinstance(a, ShowNote) and isinstance(a.event, SessionOpened)]
        assert opened.lines[0] == (
            f"WARNING: this is NOT the key of bob that you have verified ({fingerprint('bob')})."
        )
        assert opened.lines[-1].startswith("Not verified")
        alice.end("bob")


# ---- held texts


@pytest.fixture
def held(secured: Network, alice: User, bob: User) -> User:
    """Alice has verified Bob; Mallory has his nick; Alice's text to him is held."""
    alice.command("bob", "trust")
    alice.end("bob")
    mallory = swap(secured, bob, "mallory")
    query = alice.host.start("bob")
    alice.say("bob", TEXT)
    alice.say("bob", "\x01ACTION waits\x01")
    alice.do(query)
    assert alice.host.state("bob") is MessageState.ENCRYPTED
    return mallory


def test_a_held_text_is_shown_and_waits_for_the_user(alice: User, held: User) -> None:
    (told,) = [a for a in alice.shown if isinstance(a, ShowNote) and isinstance(a.event, Held)]
    assert told.lines[0] == "These 2 texts were meant for another key than bob has now, and not sent:"
    assert told.lines[1:3] == (f"  {TEXT}", "  /me waits")
    assert "/otr send" in told.lines[3]
    assert "/otr drop" in told.lines[3]
    alice.command("bob", "status")
    assert "2 texts wait for you to decide" in last_note(alice)
    assert held.texts() == []


def test_send_lets_held_texts_go_encrypted(alice: User, held: User) -> None:
    alice.command("bob", "send")
    assert held.texts() == [(TEXT, Protection.ENCRYPTED), ("waits", Protection.ENCRYPTED)]
    assert last_note(alice) == "2 texts were sent to bob, encrypted."
    assert not alice.network.crossed(TEXT)
    alice.command("bob", "send")
    assert last_note(alice) == "No text to bob is held back: there is nothing to send."


def test_drop_gives_them_back(alice: User, held: User) -> None:
    alice.command("bob", "drop")
    assert last_note(alice).split("\n")[1:] == [f"  {TEXT}", "  /me waits"]
    assert held.texts() == []
    alice.command("bob", "drop")
    assert last_note(alice) == "No text to bob is held back: there is nothing to forget."


def test_send_never_sends_them_plain(alice: User, held: User) -> None:
    alice.end("bob")
    alice.network.lines.clear()
    alice.command("bob", "send")
    assert alice.network.lines == []
    assert "/otr start first" in last_note(alice)
    alice.command("bob", "drop")
    assert f"  {TEXT}" in last_note(alice)


def test_held_texts_are_not_lost_to_a_flood(alice: User, held: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otrcore.irc.conversations.MAX_CONVERSATIONS", 3)
    alice.end("bob")
    for number in range(10):
        alice.host.incoming(f"stranger{number}", "alice", "?OTR,1,2,abc,")
    alice.command("bob", "drop")
    assert f"  {TEXT}" in last_note(alice)


def test_texts_that_wait_are_given_back_when_the_network_is_another(
    network: Network, alice: User, held: User
) -> None:
    alice.start("carol")
    alice.say("carol", "for carol")
    alice.host.connected("alice", Features(network="Elsewhere"))
    given_back = [a for a in alice.from_sink if isinstance(a, ShowNote) and a.typed is not None]
    assert [(note.peer, note.typed) for note in given_back] == [
        ("bob", TEXT),
        ("bob", "/me waits"),
        ("carol", "for carol"),
    ]


# ---- policies


def test_policy_shows_what_is_so_and_what_can_be(alice: User) -> None:
    alice.command("bob", "policy")
    told = last_note(alice)
    assert told.startswith("Policy for bob: default, as manual, and who is known to have OTR is offered it.")
    assert "OTR versions 3 and 4 may be spoken" in told
    for word in (*PRESETS, "v2", "no-v2", "v3", "no-v3", "v4", "no-v4"):
        assert word in told
    assert len(alice.account) == 0


@pytest.mark.parametrize("name", PRESETS)
def test_a_policy_is_set_for_this_peer_alone(network: Network, alice: User, name: str) -> None:
    alice.command("bob", f"policy {name.upper()}")
    assert alice.host.policy("bob") == PRESETS[name]
    assert alice.host.policy("BOB") == PRESETS[name]
    assert alice.host.policy("carol") == DEFAULT
    assert last_note(alice).startswith(f"Policy for bob: {name}")
    assert network.lines == []


def test_version_2_is_allowed_and_forbidden(network: Network, alice: User) -> None:
    alice.command("bob", "policy v2")
    assert alice.host.policy("bob") == replace(DEFAULT, versions=frozenset({2, 3, 4}))
    assert "OTR versions 2, 3 and 4 may be spoken" in last_note(alice)
    for name in ("always", "manual", "opportunistic", "default"):
        alice.command("bob", f"policy {name}")
        assert alice.host.policy("bob").versions == {2, 3, 4}, "that was said of the peer, not of the policy"
    alice.command("bob", "policy no-v2")
    assert alice.host.policy("bob") == DEFAULT
    alice.command("bob", "policy never")
    alice.command("bob", "policy v2")
    assert "/otr policy default first" in last_note(alice)
    assert alice.host.policy("bob") == NEVER


@pytest.mark.parametrize(("word", "spoken"), [("no-v4", 3), ("no-v3", 4)])
def test_one_version_alone_is_chosen_for_a_peer(
    network: Network, alice: User, bob: User, word: str, spoken: int
) -> None:
    alice.command("bob", f"policy {word}")
    assert f"OTR version {spoken} may be spoken." in last_note(alice)
    network.secure(alice, bob)
    info = alice.account.conversation("bob").info
    assert info is not None
    assert info.version == spoken
    alice.command("bob", f"policy no-v{spoken}")
    assert "no version would be left" in last_note(alice)
    assert alice.host.policy("bob").versions == {spoken}
    assert alice.host.state("bob") is MessageState.ENCRYPTED
    alice.command("bob", f"policy {word.removeprefix('no-')}")
    assert alice.host.policy("bob") == DEFAULT


def test_who_speaks_version_2_only_is_told_how(network: Network, alice: User) -> None:
    """The sentence names the commands, and they work."""
    old = network.join("old", policy=speaking(2))
    old.start("alice")
    (told,) = [a for a in alice.shown if isinstance(a, ShowNote)]
    assert told.event == NoCommonVersion(frozenset({2}))
    assert "/otr policy v2, and then /otr start" in told.lines[0]
    alice.command("old", "policy v2")
    alice.command("old", "start")
    info = alice.account.conversation("old").info
    assert info is not None
    assert info.version == 2
    alice.say("old", TEXT)
    assert old.texts() == [(TEXT, Protection.ENCRYPTED)]
    alice.command("old", "policy no-v2")
    assert alice.host.state("old") is not MessageState.ENCRYPTED


@pytest.mark.parametrize("query", ["?OTR?", "?OTR?v?"])
def test_version_1_is_told_to_be_broken(alice: User, query: str) -> None:
    alice.do(alice.host.incoming("bob", "alice", query).actions)
    assert "version 1 only, which is broken, and is refused" in last_note(alice)
    assert "/otr policy" not in last_note(alice)


def test_never_is_never(network: Network, alice: User, bob: User) -> None:
    alice.command("bob", "policy never")
    bob.start("alice")
    assert bob.host.state("alice") is MessageState.PLAINTEXT
    alice.command("bob", "start")
    assert "OTR is switched off for bob. /otr policy default" in last_note(alice)
    alice.command("bob", "status")
    assert "OTR is switched off for bob. /otr policy default" in last_note(alice)
    alice.command("bob", "policy default")
    alice.command("bob", "start")
    assert alice.host.state("bob") is MessageState.ENCRYPTED


def test_never_ends_what_runs(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", "policy never")
    assert next(a.event for a in alice.shown if isinstance(a, ShowNote)) == SessionEnded(SessionEnd.HERE)
    assert bob.host.state("alice") is MessageState.FINISHED
    assert alice.say("bob", "plain")[0].verdict is Verdict.PASS


def test_always_lets_no_text_out_in_the_clear(network: Network, alice: User, bob: User) -> None:
    """Though there was no conversation: the policy outlives it."""
    alice.command("bob", "policy always")
    assert len(alice.account) == 0
    (decision,) = alice.host.outgoing("bob", TEXT)
    assert decision.verdict is Verdict.DROP
    assert [a.event for a in decision.actions if isinstance(a, ShowNote)] == [Queued(TEXT)]
    alice.do(decision.actions)
    assert bob.texts() == [(TEXT, Protection.ENCRYPTED)]
    assert not network.crossed(TEXT)
    assert alice.say("carol", "plain")[0].verdict is Verdict.PASS


@pytest.mark.parametrize("typed", ["\x01VERSION\x01", "hello"])
def test_always_holds_for_notices_and_ctcp(network: Network, alice: User, typed: str) -> None:
    alice.command("bob", "policy always")
    command = "PRIVMSG" if typed.startswith("\x01") else "NOTICE"
    (decision,) = alice.host.outgoing("bob", typed, command)
    assert decision.verdict is Verdict.DROP
    assert network.lines == []


@pytest.mark.parametrize("received", ["hello", "\x01ACTION hello\x01"])
def test_always_marks_what_comes_in_the_clear(alice: User, received: str) -> None:
    alice.command("bob", "policy always")
    alice.do(alice.host.incoming("bob", "alice", received).actions)
    assert alice.texts() == [("hello", Protection.UNEXPECTED_PLAIN)]


def test_what_always_could_not_send_is_given_back(network: Network, alice: User) -> None:
    alice.command("bob", "policy always")
    alice.say("bob", TEXT)
    alice.clear()
    network.wait(300)
    given_back = [a for a in alice.shown if isinstance(a, ShowNote) and a.typed is not None]
    assert [note.typed for note in given_back] == [TEXT]
    for line in alice.notes():
        assert "What you type goes out unencrypted" not in line
    assert "/otr policy default" in given_back[0].lines[0]


def test_always_is_told_by_status(alice: User) -> None:
    alice.command("bob", "policy always")
    alice.command("bob", "status")
    assert "by your policy nothing goes out like that" in last_note(alice)


# ---- offers


def test_who_is_known_to_have_otr_is_offered_it(secured: Network, alice: User, bob: User) -> None:
    """Once the peer has answered by plain text, it is not offered again."""
    alice.end("bob")
    bob.end("alice")
    for user, peer in ((alice, "bob"), (bob, "alice")):
        user.do(user.host.gone(peer, "quit"))
        user.command(peer, "policy default")
    bob.command("alice", "policy never")
    secured.lines.clear()
    (decision,) = alice.say("bob", "hello there")
    assert decision.verdict is Verdict.REPLACE
    assert decision.text is not None
    assert decision.text.startswith("hello")
    assert decision.text.endswith(" there")
    assert TAG_BASE in decision.text
    bob.say("alice", "hello")
    assert alice.texts()[-1] == ("hello", Protection.PLAIN)
    assert alice.say("bob", "how are you?")[0].verdict is Verdict.PASS
    assert alice.say("bob", "still there?")[0].verdict is Verdict.PASS


def test_an_offer_that_is_taken_leads_to_an_encrypted_conversation(
    secured: Network, alice: User, bob: User
) -> None:
    alice.end("bob")
    bob.end("alice")
    for user, peer in ((alice, "bob"), (bob, "alice")):
        user.do(user.host.gone(peer, "quit"))
    alice.say("bob", "hello there")
    assert bob.texts() == [("hello there", Protection.PLAIN)]
    assert alice.host.state("bob") is bob.host.state("alice") is MessageState.ENCRYPTED


def test_actions_and_typed_queries_carry_no_offer(secured: Network, alice: User, bob: User) -> None:
    alice.end("bob")
    alice.do(alice.host.gone("bob", "quit"))
    for typed in ("\x01ACTION waves\x01", "?OTRv3?", "?OTR Error: x"):
        (decision,) = alice.host.outgoing("bob", typed)
        assert carried(decision, typed) == typed


def test_opportunistic_offers_it_to_everybody(network: Network) -> None:
    alice = network.join("alice", policy=OPPORTUNISTIC)
    (decision,) = alice.host.outgoing("stranger", "hello you")
    assert decision.verdict is Verdict.REPLACE
    assert TAG_BASE in carried(decision, "")


# ---- several clients


def test_several_clients_are_listed_and_can_be_chosen(network: Network, alice: User) -> None:
    desk, phone = network.join("bob"), network.join("bob")  # as behind a bouncer
    alice.start("bob")
    sessions = alice.account.conversation("bob").sessions
    assert {session.their_instance_tag for session in sessions} == {
        client.account.instance_tag for client in (desk, phone)
    }
    assert "bob has 2 clients: /otr status lists them." in alice.notes()
    alice.command("bob", "status")
    told = last_note(alice)
    assert "bob has 2 clients; what you type goes to " in told
    for client in (desk, phone):
        assert f"{client.account.instance_tag:08x}: OTR version 4, not verified" in told
        client.clear()
    for client in (desk, phone, desk):
        alice.command("bob", f"client {client.account.instance_tag:08X}")
        alice.say("bob", f"to {client.account.instance_tag:x}")
    for client, count in ((desk, 2), (phone, 1)):
        text = (f"to {client.account.instance_tag:x}", Protection.ENCRYPTED)
        assert client.texts() == [text] * count
    alice.command("bob", "client")
    assert "best suited" in last_note(alice)
    alice.command("bob", "client 00000000")
    assert "no such client" in last_note(alice)


def test_one_client_needs_no_list(secured: Network, alice: User) -> None:
    alice.command("bob", "status")
    assert "client" not in last_note(alice)


# ---- memory


def test_memories_are_kept_where_the_host_says(network: Network, alice: User, bob: User) -> None:
    shelf: dict[str, RecentMemories] = {}

    def memories_for(network_name: str) -> RecentMemories:
        return shelf.setdefault(network_name, RecentMemories())

    memory = PeerMemory(frozenset({4}), (KnownKey(fingerprint("bob"), Trust.SMP),))
    memories_for("testnet").store("bob", memory)
    alice.host = IrcHost("irc.example", Given(alice._account_for, memories_for), alice._sink)
    alice.host.connected("alice", network.features)
    alice.start("bob")
    assert trust(alice, "bob") is Trust.SMP
    alice.command("bob", "policy always")
    assert memories_for("testnet").load("bob") == replace(memory, policy=ALWAYS)
    alice.host.connected("alice", Features(network="Elsewhere"))
    assert alice.host.memory("bob") == STRANGER
    assert set(shelf) == {"testnet", "elsewhere"}


def test_a_store_that_fails_is_told_and_stops_nothing(network: Network, bob: User) -> None:
    class Broken(RecentMemories):
        def store(self, key: str, memory: PeerMemory) -> None:
            raise StoreError("The disk is full.")

    alice = network.join("alice")
    alice.host = IrcHost("x", Given(alice._account_for, lambda name: Broken()), alice._sink)
    alice.host.connected("alice", network.features, alice.mask)
    alice.start("bob")
    assert f"The disk is full. {NOT_SAVED}" in alice.notes()
    assert alice.host.state("bob") is MessageState.ENCRYPTED


def test_who_comes_to_a_nick_takes_no_memory_away(secured: Network, alice: User, bob: User) -> None:
    """Mallory goes to Bob's nick in a conversation: it is told, and Bob's verified key stays expected."""
    alice.command("bob", "trust")
    alice.command("bob", "policy always")
    alice.end("bob")
    alice.do(alice.host.gone("bob", "quit"))
    secured.users.remove(bob)
    mallory = secured.join("mallory")
    secured.secure(alice, mallory)
    alice.clear()
    secured.rename(mallory, "bob")
    (warning,) = alice.notes()
    assert warning.startswith("WARNING: bob, who was mallory until now, has another key")
    assert str(fingerprint("bob")) in warning
    assert alice.host.policy("bob").require_encryption, "what was said of this nick goes on"
    alice.end("bob")
    alice.do(alice.host.gone("bob", "quit"))
    mallory.end("alice")
    alice.clear()
    alice.start("bob")
    assert alice.notes()
    assert any(line.startswith("WARNING: this is NOT the key of bob that you have") for line in alice.notes())


def test_who_changes_nick_is_known_under_the_new_one_too(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", "trust")
    secured.rename(bob, "robert")
    assert not any("WARNING" in line for line in alice.notes())
    alice.end("robert")
    bob.end("alice")
    alice.do(alice.host.gone("robert", "quit"))
    alice.start("robert")
    assert trust(alice, "robert") is Trust.COMPARED


def keys(*numbers: int, trust: Trust = Trust.NONE) -> tuple[KnownKey, ...]:
    return tuple(KnownKey(Fingerprint(bytes([number]) * 20), trust) for number in numbers)


def test_merging_keeps_verified_keys_whatever_comes() -> None:
    known = PeerMemory(frozenset({2}), keys(1, trust=Trust.SMP) + keys(2), MANUAL)
    newer = PeerMemory(frozenset({3}), keys(*range(10, 10 + MAX_KEYS)))
    both = merged(known, newer)
    assert len(both.keys) == MAX_KEYS
    assert both.keys[0] == known.keys[0]
    assert both.last == newer.last
    assert (both.versions, both.policy) == (frozenset({2, 3}), MANUAL)
    assert merged(both, replace(newer, policy=ALWAYS)).policy == ALWAYS


def test_merging_believes_the_newer_word_about_a_key() -> None:
    known = PeerMemory(keys=keys(1, trust=Trust.SMP))
    assert not merged(known, PeerMemory(keys=keys(1))).verified
    assert merged(PeerMemory(keys=keys(1)), known).verified


def test_strangers_push_nobody_out_whom_the_user_has_decided_about() -> None:
    memories = RecentMemories()
    decided = {
        "verified": PeerMemory(keys=keys(1, trust=Trust.COMPARED)),
        "policy": PeerMemory(policy=ALWAYS),
    }
    for key, memory in decided.items():
        memories.store(key, memory)
    for number in range(2 * MAX_MEMORIES):
        memories.store(f"stranger{number}", PeerMemory(frozenset({3}), keys(2)))
    assert len(memories) == MAX_MEMORIES + len(decided)
    assert {key: memories.load(key) for key in decided} == decided
    assert memories.load("stranger0") == STRANGER
    memories.store("policy", STRANGER)
    assert memories.load("policy") == STRANGER
    memories.store("verified", PeerMemory(keys=keys(1)))
    assert memories.load("verified") == PeerMemory(keys=keys(1))


def test_strangers_leave_no_memory_by_plain_text(alice: User) -> None:
    for number in range(100):
        alice.host.incoming(f"stranger{number}", "alice", "?OTRv2?")
        alice.host.outgoing(f"stranger{number}", "hello")
    assert isinstance(alice.host._people.memories, RecentMemories)
    assert len(alice.host._people.memories) == 0
