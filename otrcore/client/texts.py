"""What people read when the chat client has to tell it: what happened, and what to do next."""

from __future__ import annotations

from .guard import Held

_HELD = {
    Held.ENCRYPTED: "the conversation is to be encrypted",
    Held.FINISHED: "the encrypted conversation was ended there",
    Held.REQUIRED: "by your policy nothing goes out unencrypted",
    Held.UNKNOWN: "whether it should be encrypted is not known",
}


def held(peer: str, reason: Held, why: str) -> str:
    """Tell why a text was not sent; `why` is what is wrong with the engine, if that matters."""
    if reason is Held.LOST:
        return (
            f"Not sent to {peer}: the encrypted conversation is over, as OTR's engine knows nothing of it "
            "any more. /otr start for a new one, or /otr end to go on without."
        )
    if reason is Held.UNKNOWN:
        return (
            f"Not sent to {peer}: {_HELD[reason]}. {why} Send it once more to have it go out unencrypted; "
            "without this script loaded, everything does."
        )
    end = "" if reason is Held.REQUIRED else " /otr end to go on unencrypted."
    return f"Not sent to {peer}, as {_HELD[reason]}. {why}{end}"


def unanswered(peer: str, why: str) -> str:
    """Tell that a text was given to the engine, and not sent."""
    return f"Not sent to {peer}. {why}"


def broken(verb: str, error: BaseException) -> str:
    """Tell of an error of ours."""
    return f"Not {verb}, because of an error inside OTR ({type(error).__name__}): please report it."


def unreadable(peer: str, why: str) -> str:
    """Tell that an encrypted message was not read."""
    return f"A message of OTR from {peer} could not be read: ask for it again. {why}"


def delayed(peer: str) -> str:
    """Tell that an encrypted message may be read later."""
    return f"A message of OTR from {peer} was not read in time: it comes later, or has to be asked for again."


def lost(peer: str) -> str:
    """Tell that a conversation went with its engine."""
    return (
        f"The encrypted conversation with {peer} is over, as OTR's engine has stopped. Nothing is sent until "
        "you choose: /otr start for a new one, or /otr end to go on without."
    )


def released(peer: str) -> str:
    """Tell that the user has chosen to go on without encryption."""
    return f"The encrypted conversation with {peer} is over. What you type goes out unencrypted."


def unloaded(peers: list[str]) -> str:
    """Tell what unloading the script means."""
    return (
        f"OTR is being unloaded: from now on everything goes out unencrypted, also to {', '.join(peers)}. "
        "If the script is loaded again within a minute, the encrypted conversations go on; "
        "/otr end, before unloading, ends one properly."
    )


RESTARTED = "OTR's engine is started anew."
NOT_CONNECTED = "OTR has not heard yet that this server is connected: try again in a moment."
NOT_DONE = "That was not done. {}"
SECRET_UNUSED = "The secret was not used. {}"
NO_DECISION = "OTR's engine gave no answer that makes sense: please report it."
NOT_CUT = "It could not be made shorter: please report it."
TOO_LONG = "Not sent to {}: there is less room in a line than a moment ago. {}"
UNSAFE = "Not sent to {}: OTR's engine has made a line that no server takes. Please report it."
