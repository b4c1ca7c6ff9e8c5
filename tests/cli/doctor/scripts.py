"""What the doctor finds about a script of ours in a chat client, and its mends done."""

from __future__ import annotations

import re

from otrcore.cli.doctor import clients
from otrcore.cli.doctor.findings import Finding
from tests.cli.doctor.reports import command
from tests.cli.installing.users import Somebody
from tests.clients.drivers.programs import run


def found(user: Somebody) -> list[Finding]:
    """Return what is found about the client that somebody has."""
    look = {"weechat": clients.otr_in_weechat, "hexchat": clients.otr_in_hexchat}[user.client]
    return list(look())


def mended(user: Somebody, finding: Finding) -> list[Finding]:
    """Run the command of ours that a mend names, and return what is found after it."""
    program, *words = command(finding)
    assert program == "otr"
    assert words[0] in ("install", "uninstall")
    assert words[1] == user.client
    done = run(user.folder, program, *words)
    assert done.returncode == 0, done.stderr
    return found(user)


def fill_in(user: Somebody, name: str, path: str) -> None:
    """Have the script start by another PYTHON, or from other PACKAGES."""
    text = re.sub(rf"^{name} = '.*?'", f"{name} = '{path}'", user.script.read_text(), flags=re.MULTILINE)
    user.script.write_text(text)
