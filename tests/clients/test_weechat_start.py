"""The script finds its package wherever WeeChat is started."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.clients.drivers.ngircd import Ngircd
from tests.clients.weechat_support import notes, start


def test_a_folder_called_otrcore_is_not_taken_for_the_package(tmp_path: Path, ngircd: Ngircd) -> None:
    """As in a checkout, in which people start WeeChat after they have installed the script from it."""
    around = tmp_path / "weechat-alice"
    for folder in (around / "otrcore", around / "otrcore" / "client"):
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("raise ImportError('not this one')\n")
    with ExitStack() as running:
        (alice,) = start(running, tmp_path, ngircd.port, "alice")
        alice.open_query("bob")
        alice.say("bob", "/otr version")
        assert notes(alice, "bob", "otrcore")
        assert alice.errors() == []
