"""What people read about an event: what happened, and what to do next."""

from __future__ import annotations

from ..errors import Reason
from ..events import (
    Event,
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    HeldBack,
    NotSent,
    PeerComplained,
    Rejected,
    SessionEnded,
    SessionOpened,
    SmpAsked,
)
from ..model import MessageState, SessionInfo
from .lines import one_line

_STEPS = {
    "D-H Commit": "which seals one half of a fresh secret",
    "D-H Key": "which is the other half of it",
    "Reveal Signature": "which opens the seal and is signed",
    "Signature": "which is signed in turn",
}
_HELD_BACK = {
    HeldBack.STARTING: "Not sent: the encrypted conversation with {peer} is still being set up. "
    "Send it again in a moment, or /otr end to go on unencrypted.",
    HeldBack.FINISHED: "Not sent: {peer} has ended the encrypted conversation. "
    "/otr start for a new one, or /otr end to go on unencrypted.",
    HeldBack.TOO_LARGE: "Not sent: the text is too long for one message. Send it in parts.",
}
_HANDSHAKE_FAILED = {
    HandshakeEnd.NO_ANSWER: "{peer} did not answer the request for OTR, and may not have it. ",
    HandshakeEnd.INCOMPLETE: "{peer} stopped in the middle of the start. ",
    HandshakeEnd.CANCELLED: "The start of an encrypted conversation with {peer} was cancelled. ",
}
_AS_IT_STANDS = {
    MessageState.PLAINTEXT: "What you type goes out unencrypted. /otr start to try again.",
    MessageState.ENCRYPTED: "The encrypted conversation goes on as before.",
    MessageState.FINISHED: "Nothing is sent until you choose: /otr start to try again, "
    "or /otr end to go on unencrypted.",
}
_LOST_TEXT = {
    Reason.NO_SESSION: "{peer} sent an encrypted message, but there is no encrypted conversation here. "
    "/otr start for one.",
    Reason.UNREADABLE: "An encrypted message of {peer} could not be read, and {peer} was told so. "
    "If it happens again, /otr end and then /otr start, for fresh keys.",
    Reason.MALFORMED: "An encrypted message of {peer} arrived damaged, and {peer} was told so. "
    "Ask for it again.",
}
_REJECTED = {
    Reason.MALFORMED: "{peer} sent something of OTR that is damaged, or none at all: it is not shown.",
    Reason.TOO_LARGE: "A message of {peer} was too long to be put together. Ask for it in parts.",
    Reason.VERSION: "{peer} asked for an OTR version that is not in use here.",
    Reason.UNRECOGNIZED: "{peer} sent something that looks like OTR and is not: it is not shown.",
}


def explain(event: Event, peer: str, state: MessageState) -> tuple[str, ...]:
    """Return the lines to show for an event, after which the conversation is in `state`; perhaps none."""
    match event:
        case NotSent(_, reason):
            return (_HELD_BACK[reason].format(peer=peer),)
        case HandshakeStep(message, sent):
            return (f"{'Sent' if sent else 'Received'}: {message}, {_STEPS[message]}.",)
        case HandshakeFailed(reason):
            return (_HANDSHAKE_FAILED[reason].format(peer=peer) + _AS_IT_STANDS[state],)
        case SessionOpened(info, refreshed, changed_from):
            opening = "Secured with fresh keys" if refreshed else "Secured"
            warning = (
                f"WARNING: {peer} had another key before ({changed_from}). It may be a new client, "
                "or somebody else: ask by voice or in person before you go on.",
            )
            return (
                *(warning if changed_from else ()),
                f"{opening}: the conversation with {peer} is encrypted (OTR version {info.version}).",
                *identification(info, peer),
                f"Not verified yet: compare the fingerprints with {peer} by voice or in person.",
            )
        case SessionEnded(by_peer=True):
            return (
                f"{peer} has ended the encrypted conversation, or has left. Nothing is sent until you "
                "choose: /otr start for a new one, or /otr end to go on unencrypted.",
            )
        case SessionEnded():
            return (f"The encrypted conversation with {peer} is over. What you type goes out unencrypted.",)
        case SmpAsked():
            return (
                f"{peer} wants to verify you by a question or secret, which was declined, as it cannot be "
                f"answered here. Compare the fingerprints with {peer} by voice or in person.",
            )
        case PeerComplained(text):
            return (f"The client of {peer} reports an OTR error: {one_line(text)}",)
        case Rejected(reason, had_text=True) if reason in _LOST_TEXT:
            return (_LOST_TEXT[reason].format(peer=peer),)
        case Rejected(reason) if reason in _REJECTED:
            return (_REJECTED[reason].format(peer=peer),)
    return ()


def identification(info: SessionInfo, peer: str) -> tuple[str, ...]:
    """Return the lines by which two people can tell that nobody is in between; ours above theirs."""
    width = max(len(peer) + len("'s"), len("your")) + len(" fingerprint:")
    rows = (
        ("your fingerprint:", str(info.our_fingerprint)),
        (f"{peer}'s fingerprint:", str(info.their_fingerprint)),
        ("session id:", info.session_id),
    )
    return tuple(f"  {name:{width}} {value}" for name, value in rows)


def status(state: MessageState, starting: bool, info: SessionInfo | None, peer: str) -> tuple[str, ...]:
    """Return the lines that answer /otr status."""
    if info is not None:
        return (
            f"The conversation with {peer} is encrypted (OTR version {info.version}), and not verified. "
            f"Compare the fingerprints with {peer} by voice or in person:",
            *identification(info, peer),
        )
    if state is MessageState.FINISHED:
        return (
            f"{peer} has ended the encrypted conversation. "
            "/otr start for a new one, or /otr end to go on unencrypted.",
        )
    if starting:
        return (f"An encrypted conversation with {peer} is being set up.",)
    return (f"The conversation with {peer} is not encrypted. /otr start to change that.",)
