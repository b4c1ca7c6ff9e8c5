"""What is installed, in a real WeeChat: loaded when it starts, brought up to date, taken away."""

from __future__ import annotations

import re

from tests.cli.installing.users import WEECHAT_OTR, User
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.waiting import free_port
from tests.clients.drivers.weechat import WeeChat, status

ANSWERED = re.compile(r"otrcore [0-9]+\.[0-9]+")


def weechat(user: User, port: int | None = None) -> WeeChat:
    """Start the user's WeeChat, which connects to the server on a port if there is one."""
    return WeeChat("alice", user.folder, port or free_port(), in_home=True, connected=port is not None)


def ask_engine(alice: WeeChat) -> None:
    """Wait for an answer that only the engine can give."""
    alice.command("/otr version", status())
    alice.wait(
        lambda: [line for line in alice.printed() if ANSWERED.search(line.text)], "the engine's answer"
    )


def typed(told: str) -> list[str]:
    """Return the commands that are named to be typed into WeeChat."""
    return re.findall(r"  (/python (?:un|re)?load \S+)", told)


def test_it_is_loaded_at_the_start_and_its_engine_answers(user: User) -> None:
    user.install()
    with Ngircd(user.folder / "ngircd") as server, weechat(user, server.port) as alice:
        assert "otr_client" in alice.scripts()
        ask_engine(alice)
        assert alice.errors() == []


def test_a_running_one_loads_it_by_what_is_said(user: User) -> None:
    with weechat(user) as alice:
        (command,) = typed(user.install().told)
        alice.command(command)
        assert "otr_client" in alice.scripts()

        version = alice.scripts()["otr_client"]
        user.script.write_text(user.script.read_text().replace(f'"{version}"', '"0.0.1"'))
        alice.command("/python reload otr_client")
        assert alice.scripts()["otr_client"] == "0.0.1"
        (command,) = typed(user.install().told)
        alice.command(command)
        assert alice.scripts()["otr_client"] == version

        (command,) = typed(user.uninstall().told)
        alice.command(command)
        assert set(alice.scripts()) == {"probe"}
        alice.quit()
        alice.start(connected=False)
        assert set(alice.scripts()) == {"probe"}


def test_weechat_otr_is_not_loaded_while_it_is_put_aside(user: User) -> None:
    user.put(user.scripts / "otr.py", WEECHAT_OTR)
    user.autoload("otr.py")
    with weechat(user) as alice:
        assert set(alice.scripts()) == {"otr", "probe"}
        assert user.install().code == 1
        for command in typed(user.install("--replace").told):
            alice.command(command)
        assert set(alice.scripts()) == {"otr_client", "probe"}
        alice.quit()
        alice.start(connected=False)
        assert set(alice.scripts()) == {"otr_client", "probe"}
        alice.quit()
        user.uninstall()
        alice.start(connected=False)
        assert set(alice.scripts()) == {"otr", "probe"}


def test_a_folder_of_its_own(user: User) -> None:
    with WeeChat("alice", user.folder, free_port(), connected=False) as alice:
        user.install("--folder", str(alice.data))
        alice.command("/python load otr_client.py")
        assert "otr_client" in alice.scripts()
        alice.quit()
        alice.start(connected=False)
        assert "otr_client" in alice.scripts()
