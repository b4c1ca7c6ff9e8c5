"""Off-the-Record messaging, versions 2 to 4, without input or output of its own.

    account = Account(Identity.generate())
    talk = account.conversation("bob")
    for event in talk.start(): ...

Names are handed on when they are first used (PEP 562), so that importing a part of the
package that needs none of them stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .account import Account as Account
    from .conversation import Conversation as Conversation
    from .conversation import Offer as Offer
    from .errors import OtrcoreError as OtrcoreError
    from .errors import Reason as Reason
    from .errors import StoreError as StoreError
    from .errors import StoreUnavailable as StoreUnavailable
    from .errors import UsageError as UsageError
    from .events import Downgraded as Downgraded
    from .events import Event as Event
    from .events import ExtraKey as ExtraKey
    from .events import HandshakeEnd as HandshakeEnd
    from .events import HandshakeFailed as HandshakeFailed
    from .events import HandshakeStep as HandshakeStep
    from .events import Held as Held
    from .events import HeldBack as HeldBack
    from .events import MemoryChanged as MemoryChanged
    from .events import NoCommonVersion as NoCommonVersion
    from .events import NotSent as NotSent
    from .events import PeerComplained as PeerComplained
    from .events import Queued as Queued
    from .events import Received as Received
    from .events import Rejected as Rejected
    from .events import Resent as Resent
    from .events import SessionEnd as SessionEnd
    from .events import SessionEnded as SessionEnded
    from .events import SessionOpened as SessionOpened
    from .events import SmpAborted as SmpAborted
    from .events import SmpAsked as SmpAsked
    from .events import SmpEnd as SmpEnd
    from .events import SmpFailed as SmpFailed
    from .events import SmpProgress as SmpProgress
    from .events import SmpSucceeded as SmpSucceeded
    from .events import Transmit as Transmit
    from .identity import Identity as Identity
    from .memory import KnownKey as KnownKey
    from .memory import PeerMemory as PeerMemory
    from .model import Fingerprint as Fingerprint
    from .model import MessageState as MessageState
    from .model import Protection as Protection
    from .model import SessionInfo as SessionInfo
    from .model import Trust as Trust
    from .policy import Policy as Policy
    from .policy import Tagging as Tagging
    from .store.store import Store as Store

_EXPORTS = {
    "Account": "account",
    "Conversation": "conversation",
    "Downgraded": "events",
    "Event": "events",
    "ExtraKey": "events",
    "Fingerprint": "model",
    "HandshakeEnd": "events",
    "HandshakeFailed": "events",
    "HandshakeStep": "events",
    "Held": "events",
    "HeldBack": "events",
    "Identity": "identity",
    "KnownKey": "memory",
    "MemoryChanged": "events",
    "MessageState": "model",
    "NoCommonVersion": "events",
    "NotSent": "events",
    "Offer": "conversation",
    "OtrcoreError": "errors",
    "PeerComplained": "events",
    "PeerMemory": "memory",
    "Policy": "policy",
    "Protection": "model",
    "Queued": "events",
    "Reason": "errors",
    "Received": "events",
    "Rejected": "events",
    "Resent": "events",
    "SessionEnd": "events",
    "SessionEnded": "events",
    "SessionInfo": "model",
    "SessionOpened": "events",
    "SmpAborted": "events",
    "SmpAsked": "events",
    "SmpEnd": "events",
    "SmpFailed": "events",
    "SmpProgress": "events",
    "SmpSucceeded": "events",
    "Store": "store.store",
    "StoreError": "errors",
    "StoreUnavailable": "errors",
    "Tagging": "policy",
    "Transmit": "events",
    "Trust": "model",
    "UsageError": "errors",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> object:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
