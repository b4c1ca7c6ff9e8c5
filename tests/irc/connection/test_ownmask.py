"""How our own nick!user@host is learned."""

from __future__ import annotations

import pytest

from tests.irc.connection.hostile_server import (
    SENTINEL,
    Client,
    HostileServer,
    Peer,
    then_sentinel,
)

pytestmark = pytest.mark.usefixtures("no_descriptor_is_leaked")


def test_the_own_mask_is_learned_from_any_line_that_carries_it() -> None:
    def script(peer: Peer) -> None:
        peer.asked_nick()
        peer.welcome("me", mask=None)
        peer.send(":me!~u@from.join JOIN #room")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        assert client.connection.own_mask == "me!~u@from.join"
        client.connection.quit()


def test_a_new_displayed_host_changes_the_own_mask() -> None:
    seen: list[str | None] = []
    with HostileServer(
        then_sentinel(
            ":irc.test 396 me cloak.example :is now your displayed host",
            ":irc.test 396 me new@cloak.two :is now your displayed host",
            ":irc.test 396 me :not a host",
            ":irc.test 396 me two@at@signs",
            ":irc.test 396 me " + "h" * 400,
            ":irc.test 396 me",
            ":me!~u@" + "h" * 400 + " JOIN #room",
            ":me!~u JOIN #room",
            ":me JOIN #room",
        )
    ) as server:
        client = Client(server.address)
        client.heard.hooks["own_mask_changed"] = lambda: seen.append(client.connection.own_mask)
        client.connect()
        client.until_text(SENTINEL)
        client.connection.quit()
    assert seen == ["me!~u@host.example", "me!~u@cloak.example", "me!new@cloak.two"]
