"""Policies as the store keeps them, and those that hold for a whole network."""

from __future__ import annotations

import json

from ..errors import OtrcoreError
from ..policy import ALWAYS, Policy, Tagging
from ..suites import VERSIONS
from .database import Database

_FLAGS = ("start_on_tag", "start_on_error", "require_encryption")


def written(policy: Policy) -> str:
    """Return a policy as text."""
    return json.dumps(
        {
            "versions": sorted(policy.versions),
            "send_tag": policy.send_tag.name.lower(),
            "padding": policy.padding,
            **{name: getattr(policy, name) for name in _FLAGS},
        }
    )


def read(text: str) -> Policy:
    """Read what `written` wrote; what cannot be read lets nothing out unencrypted."""
    try:
        fields = json.loads(text)
        versions, padding = fields["versions"], fields["padding"]
        flags = {name: fields[name] for name in _FLAGS}
        spoken = VERSIONS.intersection(versions)
        if not (
            isinstance(versions, list)
            and all(type(number) is int for number in (*versions, padding))
            and all(isinstance(flag, bool) for flag in flags.values())
            # Without any version OTR is off, which is not what was meant where none of them can be spoken.
            and (spoken or not versions)
        ):
            return ALWAYS
        return Policy(spoken, Tagging[fields["send_tag"].upper()], padding=padding, **flags)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OtrcoreError):
        return ALWAYS


class Policies:
    """What holds on a network for everybody without a policy of their own."""

    def __init__(self, database: Database) -> None:
        """The database is the store's, which opens and closes it."""
        self._database = database

    def get(self, network: str) -> Policy | None:
        """Return the policy of a network; None if the usual one holds."""
        rows = self._database.rows("SELECT policy FROM network_policy WHERE network = ?", network)
        return read(rows[0][0]) if rows else None

    def set(self, network: str, policy: Policy | None) -> None:
        """Have a policy on a network, None for the usual one."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM network_policy WHERE network = ?", (network,))
            if policy is not None:
                connection.execute("INSERT INTO network_policy VALUES (?, ?)", (network, written(policy)))
