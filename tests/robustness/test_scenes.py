"""The scenes are what their names say, and all go on to a good end when nobody interferes."""

from __future__ import annotations

from otrcore.events import Received
from otrcore.model import MessageState, Protection
from otrcore.v3.ake import AuthStateNone, AwaitingDhKey, AwaitingRevealSignature, AwaitingSignature
from tests.pair import SIDES
from tests.robustness.scenes import ENCRYPTED, PEER, SUBJECT, described, each_scene, play

PLAIN, SECURE, FINISHED = MessageState.PLAINTEXT, MessageState.ENCRYPTED, MessageState.FINISHED

MEANT = {
    "plaintext": (PLAIN, AuthStateNone, False, False),
    "query sent": (PLAIN, AuthStateNone, False, False),
    "awaiting D-H Key": (PLAIN, AwaitingDhKey, False, False),
    "awaiting Reveal Signature": (PLAIN, AwaitingRevealSignature, False, False),
    "awaiting Signature": (PLAIN, AwaitingSignature, False, False),
    "yielded": (PLAIN, AwaitingRevealSignature, True, False),
    "yielded and answered": (PLAIN, AwaitingRevealSignature, True, True),
    "encrypted as initiator": (SECURE, AuthStateNone, False, False),
    "encrypted as responder": (SECURE, AuthStateNone, False, False),
    "encrypted, keys rotated": (SECURE, AuthStateNone, False, False),
    "encrypted, query sent": (SECURE, AuthStateNone, False, False),
    "encrypted, awaiting D-H Key": (SECURE, AwaitingDhKey, False, False),
    "encrypted, awaiting Reveal Signature": (SECURE, AwaitingRevealSignature, False, False),
    "encrypted, awaiting Signature": (SECURE, AwaitingSignature, False, False),
    "encrypted, yielded": (SECURE, AwaitingRevealSignature, True, False),
    "finished": (FINISHED, AuthStateNone, False, False),
    "ended by us": (PLAIN, AuthStateNone, False, False),
    "in the middle of fragments": (PLAIN, AwaitingRevealSignature, False, False),
}


@each_scene
def test_the_subject_is_in_the_state(name: str, version: int) -> None:
    pair = play(name, version)
    assert described(pair.talks[SUBJECT]) == MEANT[name]
    at_rest = {"plaintext", "finished", "ended by us", *ENCRYPTED[:3]}
    assert pair.talks[SUBJECT].starting == (name not in at_rest)


@each_scene
def test_something_is_on_its_way_unless_all_is_over(name: str, version: int) -> None:
    assert bool(play(name, version).on_the_way[SUBJECT]) == (name not in {"finished", "ended by us"})


@each_scene
def test_left_alone_it_ends_well(name: str, version: int) -> None:
    pair = play(name, version)
    pair.settle()
    if name not in {"plaintext", "finished", "ended by us"}:
        pair.agreed()
    pair.secure(starter=SUBJECT)
    for side, other in ((SUBJECT, PEER), (PEER, SUBJECT)):
        pair.clear()
        pair.say(side, "after all")
        assert pair.events(other) == [Received("after all", Protection.ENCRYPTED)]
    assert not any(pair.on_the_way[side] for side in SIDES)
