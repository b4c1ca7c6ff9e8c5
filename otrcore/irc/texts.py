"""What people read about an event: what happened, and the one thing to do next, if it can be done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..conversation import Conversation
from ..errors import Reason
from ..events import (
    Downgraded,
    Event,
    ExtraKey,
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    Held,
    HeldBack,
    NoCommonVersion,
    NotSent,
    PeerComplained,
    Queued,
    Rejected,
    Resent,
    SessionEnd,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpFailed,
    SmpProgress,
    SmpSucceeded,
)
from ..memory import STRANGER, PeerMemory
from ..model import MessageState, SessionInfo, Trust
from ..policy import MANUAL, Policy, name_of
from ..suites import VERSIONS
from .actions import AskSecret
from .lines import one_line

MAX_QUESTION = 400
"""Characters of a question that are asked, or shown."""

MAX_NAMES = 5
"""Other nicks of a key that are worth naming."""

OLDEST_SPOKEN = 2

NOBODY: Mapping[str, Trust] = MappingProxyType({})

_STEPS = {
    "D-H Commit": "which seals one half of a fresh secret",
    "D-H Key": "which is the other half of it",
    "Reveal Signature": "which opens the seal and is signed",
    "Signature": "which is signed in turn",
    "Identity": "message 1 of 3 for OTR version 4; they take half a minute or so, as servers want it",
    "Auth-R": "message 2 of 3, the longest",
    "Auth-I": "message 3 of 3, after which all is encrypted",
}
_HANDSHAKE_FAILED = {
    HandshakeEnd.NO_ANSWER: "{peer} did not answer the request for OTR, and may not have it. ",
    HandshakeEnd.INCOMPLETE: "{peer} stopped in the middle of the start. ",
    HandshakeEnd.CANCELLED: "The start of an encrypted conversation with {peer} was cancelled. ",
}
_LOST_TEXT = {
    Reason.NO_SESSION: "{peer} sent an encrypted message, but there is no encrypted conversation here. "
    "/otr start for one.",
    Reason.UNREADABLE: "An encrypted message of {peer} could not be read: ask for it again. "
    "If it goes on like that, /otr end and then /otr start, for fresh keys.",
    Reason.MALFORMED: "An encrypted message of {peer} arrived damaged: ask for it again.",
}
_REJECTED = {
    Reason.MALFORMED: "{peer} sent something of OTR that is damaged, or none at all: it is not shown. "
    "If a text is missing, ask for it again.",
    Reason.TOO_LARGE: "A message of {peer} was too long to be put together. Ask for it in parts.",
    Reason.VERSION: "{peer} spoke an OTR version that is not in use here: it was not acted on. "
    "If you want to talk encrypted, /otr start for a version that both of you have.",
    Reason.UNRECOGNIZED: "{peer} sent something that looks like OTR and is not: it is not shown. "
    "If you expected a text, ask for it again.",
}
_VERIFIED_BY = {
    Trust.COMPARED: "Verified: you have compared the fingerprints with {peer}.",
    Trust.SMP: "Verified: {peer} has proven to know your shared secret.",
}
_MEANINGS = {
    "never": "OTR is switched off",
    "manual": "a conversation begins when one of you asks for it",
    "default": "as manual, and who is known to have OTR is offered it",
    "opportunistic": "everybody is offered OTR",
    "always": "nothing that you type leaves unencrypted",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a conversation stands once its events have happened: which next step is possible.

    `asked`: our user asks a question in the verification that is under way, or has just ended.
    `clients` is how many of the peer have an encrypted conversation with us.
    """

    state: MessageState = MessageState.PLAINTEXT
    policy: Policy = MANUAL
    memory: PeerMemory = STRANGER
    trust: Trust = Trust.NONE
    asked: bool = False
    clients: int = 1

    @classmethod
    def of(cls, talk: Conversation, *, asked: bool = False) -> Standing:
        """Return how this conversation stands."""
        return cls(talk.state, talk.policy, talk.memory, talk.trust, asked, len(talk.sessions))

    @property
    def goes_out(self) -> str:
        """What becomes of the next text, and how to have it otherwise."""
        match self.state:
            case MessageState.ENCRYPTED:
                return "The encrypted conversation goes on as before."
            case MessageState.FINISHED:
                return (
                    "Nothing is sent until you choose: /otr start for a new one, "
                    "or /otr end to go on without."
                )
            case MessageState.PLAINTEXT if self.policy.require_encryption:
                return (
                    "By your policy nothing goes out unencrypted: /otr start to try again, "
                    "or /otr policy default to allow it."
                )
            case MessageState.PLAINTEXT:
                return "What you type goes out unencrypted. /otr start to try again."


def explain(
    event: Event, peer: str, standing: Standing, familiar: Mapping[str, Trust] = NOBODY
) -> tuple[str, ...]:
    """Return the lines to show for an event; perhaps none.

    `familiar` are the other nicks under which the key of a conversation that has opened is known.
    """
    match event:
        case NotSent(_, reason):
            return (f"Not sent to {peer}: {_held_back(reason, standing)}",)
        case Queued():
            return (f"Waiting: it leaves encrypted once the conversation with {peer} is.",)
        case Resent(text):
            return (f"{peer} could not read your last text, and it was said again: {one_line(text)}",)
        case Held(texts):
            return _held(texts, peer)
        case HandshakeStep(message, sent):
            return (f"{'Sent' if sent else 'Received'}: {message}, {_STEPS[message]}.",)
        case HandshakeFailed(reason):
            return (_HANDSHAKE_FAILED[reason].format(peer=peer) + standing.goes_out,)
        case SessionOpened():
            return _opened(event, peer, standing, familiar)
        case SessionEnded(SessionEnd.PEER):
            return (f"{peer} has ended the encrypted conversation, or has left. {standing.goes_out}",)
        case SessionEnded(SessionEnd.EXPIRED):
            return (
                f"The encrypted conversation with {peer} is over: {peer} has said nothing for a day, and its "
                f"keys are deleted, so that nobody can find them. {standing.goes_out}",
            )
        case SessionEnded(SessionEnd.RENEWED):
            return (f"Fresh keys are agreed on with {peer}: what you type meanwhile waits for them.",)
        case SessionEnded():
            return (f"The encrypted conversation with {peer} is over. {_after_end(standing)}",)
        case Downgraded(known, offered):
            return (
                f"WARNING: {peer} has spoken OTR version {known} before, and only {offered} now. It may "
                f"be another client of {peer}'s, or somebody in between who weakens it: ask by voice or in "
                "person.",
            )
        case NoCommonVersion(offered):
            return (_no_common_version(offered, peer),)
        case ExtraKey(by_peer=True):
            return (f"{peer}'s client has offered a key for another program: nothing here makes use of it.",)
        case PeerComplained(text):
            return (
                f"The client of {peer} reports an OTR error: {one_line(text)}",
                f"If {peer} has missed a text, send it again; if this goes on, /otr refresh for fresh keys.",
            )
        case Rejected(reason, had_text=True) if reason in _LOST_TEXT:
            return (_LOST_TEXT[reason].format(peer=peer),)
        case Rejected(reason) if reason in _REJECTED:
            return (_REJECTED[reason].format(peer=peer),)
        case SmpAsked() | SmpProgress() | SmpSucceeded() | SmpFailed() | SmpAborted():
            return _verification(event, peer, standing)
    return ()


def _held_back(reason: HeldBack, standing: Standing) -> str:
    match reason:
        case HeldBack.NO_SESSION:
            return f"no encrypted conversation came about. {standing.goes_out}"
        case HeldBack.TOO_MUCH:
            return (
                "too much is waiting for the encrypted conversation already. Send it again once there is one."
            )
        case HeldBack.FINISHED:
            return (
                "the encrypted conversation is over. /otr start for a new one, or /otr end to go on without."
            )
        case HeldBack.TOO_LARGE:
            return "the text is too long for one message. Send it in parts."


def _held(texts: tuple[str, ...], peer: str) -> tuple[str, ...]:
    what = "This text was" if len(texts) == 1 else f"These {len(texts)} texts were"
    return (
        f"{what} meant for another key than {peer} has now, and not sent:",
        *(f"  {one_line(text)}" for text in texts),
        f"If you are sure that it is {peer}, /otr send sends them encrypted; /otr drop forgets them.",
    )


def _after_end(standing: Standing) -> str:
    if standing.policy.require_encryption:
        return "By your policy nothing goes out unencrypted: what you type next asks for a new one."
    return "What you type goes out unencrypted."


def _opened(
    event: SessionOpened, peer: str, standing: Standing, familiar: Mapping[str, Trust]
) -> tuple[str, ...]:
    opening = "Secured with fresh keys" if event.refreshed else "Secured"
    several = (
        [f"{peer} has {standing.clients} clients: /otr status lists them."] if standing.clients > 1 else []
    )
    return (
        *_other_key(event, peer, standing),
        f"{opening}: the conversation with {peer} is encrypted (OTR version {event.info.version}).",
        *identification(event.info, peer),
        *several,
        *_known_as(peer, familiar),
        *_other_kind(event.info, event.trust, peer, standing.memory),
        _how_verified(event.trust, peer),
    )


def _known_as(peer: str, familiar: Mapping[str, Trust]) -> tuple[str, ...]:
    """Name the other nicks of whoever has this key, those first under which it is verified."""
    ranked = sorted(familiar.items(), key=lambda item: item[1] is Trust.NONE)
    names = [
        f"{nick} ({trust.value})" if trust is not Trust.NONE else nick for nick, trust in ranked[:MAX_NAMES]
    ]
    more = f" and {len(ranked) - MAX_NAMES} more" if len(ranked) > MAX_NAMES else ""
    return (f"This key of {peer} is known as that of {', '.join(names)}{more}.",) if names else ()


def _other_key(event: SessionOpened, peer: str, standing: Standing) -> tuple[str, ...]:
    """Say loudly that the key is not the one that the user would expect."""
    if event.changed_from is None:
        return ()
    verified = standing.memory.trust(event.changed_from) is not Trust.NONE
    told = (
        f"WARNING: this is NOT the key of {peer} that you have verified ({event.changed_from})."
        if verified
        else f"WARNING: {peer} had another key before ({event.changed_from})."
    )
    return (
        told,
        f"It may be a new client of {peer}'s, or somebody in between who reads everything: say nothing "
        "secret before you have verified it, by /otr smp ask, by voice or in person.",
    )


def _other_kind(info: SessionInfo, trust: Trust, peer: str, memory: PeerMemory) -> tuple[str, ...]:
    """Say why somebody who was verified is not: version 4 has keys of its own."""
    if trust is not Trust.NONE:
        return ()
    shown = info.their_fingerprint
    others = (key.fingerprint for key in memory.keys if key.trust is not Trust.NONE)
    verified = next((other for other in others if not other.rivals(shown)), None)
    if verified is None:
        return ()
    return (
        f"You have verified {peer}'s key for OTR {_of_versions(verified.versions)}. That for "
        f"{_of_versions(shown.versions)} is a key of its own, which has to be verified by itself.",
    )


def _of_versions(versions: Collection[int]) -> str:
    *most, last = map(str, sorted(versions))
    return f"versions {', '.join(most)} and {last}" if most else f"version {last}"


def _how_verified(trust: Trust, peer: str) -> str:
    if trust is Trust.NONE:
        return (
            f"Not verified: somebody in between could be reading along. Next: /otr smp ask, and a secret "
            f"that only {peer} and you know."
        )
    return _VERIFIED_BY[trust].format(peer=peer)


def _no_common_version(offered: frozenset[int], peer: str) -> str:
    known = max(offered & VERSIONS, default=0)
    if known > OLDEST_SPOKEN:
        return (
            f"{peer} speaks OTR version {known}, which is off by your policy: /otr policy v{known} allows "
            "it, and then /otr start. Nothing is encrypted so far."
        )
    if OLDEST_SPOKEN in offered:
        return (
            f"{peer} speaks OTR version {OLDEST_SPOKEN}, and nothing newer that is known here. It is weaker, "
            "and off unless you allow it: /otr policy v2, and then /otr start."
        )
    if offered and max(offered) < OLDEST_SPOKEN:
        return (
            f"{peer} offers OTR version 1 only, which is broken, and is refused. {peer} needs a newer "
            "client: ask for that before you say anything secret."
        )
    versions = " and ".join(str(version) for version in sorted(offered))
    return f"{peer} offers OTR version {versions}, which is not in use here. Nothing is encrypted by that."


def _verification(
    event: SmpAsked | SmpProgress | SmpSucceeded | SmpFailed | SmpAborted, peer: str, standing: Standing
) -> tuple[str, ...]:
    match event:
        case SmpAsked(question):
            wish = f"{peer} wants to verify you by a secret that only the two of you know"
            asked = f', and asks: "{shown_question(question)}"' if question else "."
            return (
                wish + asked,
                "/otr smp answer to give the secret; /otr smp abort if you do not know what this is about.",
            )
        case SmpProgress(percent):
            return (f"Verifying with {peer}: {percent} per cent.",)
        case SmpSucceeded(trusts=False):
            in_turn = f"You had verified {peer} before."
            if standing.trust is Trust.NONE:
                in_turn = f"You have not thereby verified {peer}: /otr smp ask to ask back."
            return (f"{peer} has verified you by your answer. {in_turn}",)
        case SmpSucceeded() if standing.asked:
            return (
                f"Verified: {peer} knows the answer, so nobody is in between.",
                f"{peer} has not thereby verified you, and can ask you in turn.",
            )
        case SmpSucceeded():
            return (
                f"Verified: {peer} and you gave the same secret, so nobody is in between. That holds for "
                "both of you.",
            )
        case SmpFailed(trusts=False):
            return (
                f"NOT verified: your answer is not the one that {peer} has given. Capitals and blanks count; "
                f"or somebody is in between: ask by voice or in person before you say anything secret.",
            )
        case SmpFailed():
            return (
                f"NOT verified: {peer} has given another secret than you. Capitals and blanks count; or "
                f"somebody is in between: ask by voice or in person before you say anything secret. "
                "/otr smp ask to try again.",
            )
        case SmpAborted(reason):
            again = " /otr smp ask to try again." if standing.state is MessageState.ENCRYPTED else ""
            return (_ABORTED[reason].format(peer=peer) + again,)


_ABORTED = {
    SmpEnd.HERE: "You have called off the verification with {peer}: it says nothing, either way.",
    SmpEnd.PEER: "{peer} has called off the verification: it says nothing, either way.",
    SmpEnd.OUT_OF_TURN: "The verification with {peer} has ended without result: perhaps both asked at once.",
    SmpEnd.CHEATED: "The verification with {peer} has ended without a result: a message of it was not right.",
    SmpEnd.SESSION: "The verification with {peer} has ended without a result, with its encrypted session.",
}


def shown_question(question: str) -> str:
    """Return a question as one line of bounded length."""
    line = one_line(question)
    return line if len(line) <= MAX_QUESTION else line[:MAX_QUESTION] + "..."


def prompt(asked: AskSecret) -> tuple[str, ...]:
    """Return the lines above the place where a secret is typed."""
    how = "Capitals and blanks count; it is not shown while you type. An empty line calls it off."
    question = f': "{shown_question(asked.question)}"' if asked.question else ""
    if asked.by_peer:
        return (f"Your answer for {asked.peer}{question or ', the secret that you share'}", how)
    if question:
        return (f"The answer that {asked.peer} is to give to your question{question}", how)
    return (f"The secret that only {asked.peer} and you know", how)


def identification(info: SessionInfo, peer: str) -> tuple[str, ...]:
    """Return the lines by which two people can tell that nobody is in between; ours above theirs."""
    width = max(len(peer) + len("'s"), len("your")) + len(" fingerprint:")
    halves = ("first", "second") if info.reads_first_half else ("second", "first")
    rows = (
        ("your fingerprint:", info.our_fingerprint.lines()),
        (f"{peer}'s fingerprint:", info.their_fingerprint.lines()),
        ("session id:", (f"{info.session_id} (you read out the {halves[0]} half, {peer} the {halves[1]})",)),
    )
    return tuple(
        f"  {name if at == 0 else '':{width}} {line}" for name, lines in rows for at, line in enumerate(lines)
    )


def not_yet_to_verify(peer: str, talk: Conversation | None) -> str:
    """Return what is said to who would verify a peer without an encrypted conversation."""
    if talk is not None and talk.starting:
        return (
            f"Verifying {peer} needs an encrypted conversation, which is being set up: "
            'wait for "Secured", then type it again.'
        )
    return f"Verifying {peer} needs an encrypted conversation: /otr start first."


def status(peer: str, policy: Policy, talk: Conversation | None) -> tuple[str, ...]:
    """Return the lines that answer /otr status; without a conversation only the policy has a say."""
    lines: list[str] = []
    info = talk.info if talk else None
    if talk is not None and info is not None:
        lines.append(
            f"The conversation with {peer} is encrypted (OTR version {info.version}), and {talk.trust.value}."
        )
        lines += identification(info, peer)
        lines += _clients(peer, talk, info)
        if talk.smp_waiting:
            lines.append(f"{peer} waits for your secret: /otr smp answer, or /otr smp abort.")
        elif talk.smp_running:
            lines.append(f"A verification is under way: {peer} has not answered yet.")
        elif talk.trust is Trust.NONE:
            lines += [*_other_kind(info, talk.trust, peer, talk.memory), _how_verified(talk.trust, peer)]
    elif talk is not None and talk.starting:
        lines.append(f"An encrypted conversation with {peer} is being set up.")
    elif talk is not None and talk.state is MessageState.FINISHED:
        lines.append(
            f"The encrypted conversation with {peer} is over. "
            "/otr start for a new one, or /otr end to go on without."
        )
    elif not policy.versions:
        lines.append(f"OTR is switched off for {peer}. /otr policy default to change that.")
    elif policy.require_encryption:
        lines.append(
            f"The conversation with {peer} is not encrypted, and by your policy nothing goes out like that. "
            "/otr start to change it."
        )
    else:
        lines.append(f"The conversation with {peer} is not encrypted. /otr start to change that.")
    if talk is not None and talk.held:
        waiting = "1 text waits" if len(talk.held) == 1 else f"{len(talk.held)} texts wait"
        lines.append(f"{waiting} for you to decide: /otr send or /otr drop.")
    return tuple(lines)


def _clients(peer: str, talk: Conversation, chosen: SessionInfo) -> list[str]:
    """Name the clients of the peer, where there are several."""
    if len(talk.sessions) < 2:
        return []
    rows = [
        f"  {session.their_instance_tag:08x}: OTR version {session.version}, "
        f"{talk.memory.trust(session.their_fingerprint).value}, key {session.their_fingerprint}"
        for session in talk.sessions
    ]
    return [
        f"{peer} has {len(rows)} clients; what you type goes to {chosen.their_instance_tag:08x}. "
        "/otr client NUMBER to choose another:",
        *rows,
    ]


def policy_lines(peer: str, policy: Policy) -> tuple[str, ...]:
    """Return the lines that answer /otr policy."""
    name = name_of(policy) or "your own"
    meaning = f", {_MEANINGS[name]}" if name in _MEANINGS else ""
    spoken = f" OTR {_of_versions(policy.versions)} may be spoken." if policy.versions else ""
    return (f"Policy for {peer}: {name}{meaning}.{spoken}",)


def policy_meanings() -> tuple[str, ...]:
    """Return what each policy means, a line for each."""
    width = max(map(len, _MEANINGS))
    return tuple(f"  {name:{width}}  {meaning}" for name, meaning in _MEANINGS.items())
