"""One message of the key exchange is lost: what state that leaves, and what heals it.

Our retry heals without the users whatever we can know of.  Two losses we cannot: of a Commit that libotr
alone has sent, as our query need not be answered, and of our Signature, after which all is well for us.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otrcore.events import HandshakeEnd, HandshakeFailed
from otrcore.instances import QUIET
from otrcore.model import MessageState
from otrcore.v3.ake import INITIATOR_RETRIES, LIFETIME, RESPONDER_RETRIES
from otrcore.wire.messages3 import AkeMessage, DhCommit, DhKey, RevealSignature, Signature
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import Direction, LibotrPeer, exchange
from tests.interop.ours import Ours, agreed, chat, let_pass, message_in, secure
from tests.pair import speaking

MESSAGES = [DhCommit, DhKey, RevealSignature, Signature]
UNKNOWN_TO_US = [("ours", DhCommit), ("ours", Signature)]
"""Whoever asks is the responder: libotr's Commit, and our Signature."""


def first_of(kind: type[AkeMessage]) -> Callable[[Direction, str], bool]:
    """Return what makes `exchange` lose the first message of this kind."""
    lost: list[str] = []

    def drop(_: Direction, wire: str) -> bool:
        if lost or not isinstance(message_in(wire), kind):
            return False
        lost.append(wire)
        return True

    return drop


def lose(ours: Ours, theirs: LibotrPeer, starter: str, kind: type[AkeMessage]) -> None:
    (ours if starter == "ours" else theirs).start()
    exchange(ours, theirs, drop=first_of(kind))


@pytest.mark.parametrize("starter", ["ours", "theirs"])
@pytest.mark.parametrize("kind", MESSAGES)
def test_what_a_lost_message_leaves(
    libotr: LibotrFactory, version: int, starter: str, kind: type[AkeMessage]
) -> None:
    """Nobody is encrypted but the sender of a lost Signature; then we help on, or say that we give up."""
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    lose(ours, theirs, starter, kind)
    # Whoever asks is the responder, and the responder sends the Signature.
    assert (ours.state is MessageState.ENCRYPTED) is (kind is Signature and starter == "ours")
    assert (theirs.session is not None) is (kind is Signature and starter == "theirs")
    ours.shown()
    let_pass(round(max(INITIATOR_RETRIES, RESPONDER_RETRIES)), ours, theirs)
    if (starter, kind) in UNKNOWN_TO_US:
        assert theirs.session is None
        let_pass(round(LIFETIME), ours, theirs)
        ends = [event.reason for event in ours.events(HandshakeFailed)]
        assert ends == ([HandshakeEnd.NO_ANSWER] if kind is DhCommit else [])
        assert theirs.session is None
        return
    agreed(ours, theirs)
    ours.shown()
    theirs.events()
    chat(ours, theirs)
    let_pass(round(LIFETIME) + 1, ours, theirs)
    assert ours.shown() == []
    chat(ours, theirs)


@pytest.mark.parametrize("starter", ["ours", "theirs"])
@pytest.mark.parametrize("kind", MESSAGES)
def test_the_retry_is_lost_too(
    libotr: LibotrFactory, version: int, starter: str, kind: type[AkeMessage]
) -> None:
    """There is one, and then the user is told."""
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    lose(ours, theirs, starter, kind)
    ours.events(HandshakeFailed)
    for _ in range(3 * round(LIFETIME)):
        ours.wait(1)
        ours.take()
    failures = ours.events(HandshakeFailed)
    assert len(failures) == (0 if (starter, kind) == ("ours", Signature) else 1)
    assert not ours.talk.starting
    ours.start()
    exchange(ours, theirs)
    agreed(ours, theirs)
    chat(ours, theirs)


@pytest.mark.parametrize("wait", [round(QUIET) + 1, round(LIFETIME) + 1])
@pytest.mark.parametrize("restarter", ["ours", "theirs"])
@pytest.mark.parametrize("starter", ["ours", "theirs"])
@pytest.mark.parametrize("kind", MESSAGES)
def test_another_start_heals(
    libotr: LibotrFactory, version: int, starter: str, restarter: str, kind: type[AkeMessage], wait: int
) -> None:
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    lose(ours, theirs, starter, kind)
    let_pass(wait, ours, theirs)
    (ours if restarter == "ours" else theirs).start()
    exchange(ours, theirs)
    agreed(ours, theirs)
    chat(ours, theirs)


@pytest.mark.parametrize("starter", ["ours", "theirs"])
@pytest.mark.parametrize("kind", MESSAGES)
def test_our_second_start_heals_at_once(
    libotr: LibotrFactory, version: int, starter: str, kind: type[AkeMessage]
) -> None:
    """Nobody has to wait for anything to expire."""
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    lose(ours, theirs, starter, kind)
    ours.start()
    exchange(ours, theirs)
    agreed(ours, theirs)
    chat(ours, theirs)


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_lost_refresh_leaves_the_session_usable(
    libotr: LibotrFactory, version: int, kind: type[AkeMessage]
) -> None:
    """Only a lost Signature makes the sides disagree, until the next start."""
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    before = secure(ours, theirs)
    chat(ours, theirs)
    theirs.start()
    exchange(ours, theirs, drop=first_of(kind))
    if kind is not Signature:
        assert agreed(ours, theirs) == before
        chat(ours, theirs)
    let_pass(round(QUIET) + 1, ours, theirs)
    theirs.start()
    exchange(ours, theirs)
    assert agreed(ours, theirs) != before
    chat(ours, theirs)
