"""What goes wrong between a chat client and its engine; each text is a sentence for the user."""

from __future__ import annotations


class ClientError(Exception):
    """The engine could not be asked, or has not done what it was asked for."""


class PlaceError(ClientError):
    """There is no safe place to meet the engine at."""


class LaunchError(ClientError):
    """The engine cannot be started."""


class BadFrame(ClientError):
    """Something is no frame, or none that the link carries."""


class NoLink(ClientError):
    """Nothing was asked, as there is nobody to ask just now."""


class NoAnswer(ClientError):
    """The engine was asked, and has not answered in time: what it has done is not known."""


class Refused(ClientError):
    """The engine has answered that it cannot; the text is its own."""
