"""From the store to an account: what a host's process speaks as on one network."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..account import Account
from ..store.identities import Identities


def accounts(identities: Identities, clock: Callable[[], float] = time.monotonic) -> Callable[[str], Account]:
    """Return the function that an IrcHost asks for its account; it makes keys on a network's first use."""

    def account_for(network: str) -> Account:
        return Account(
            identities.for_network(network),
            instance_tag=identities.claim_instance_tag(network),
            clock=clock,
        )

    return account_for
