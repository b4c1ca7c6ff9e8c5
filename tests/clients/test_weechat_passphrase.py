"""Private keys that are locked: WeeChat asks for the passphrase, or has it in its safe."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.programs import run
from tests.clients.drivers.weechat import CORE, WeeChat, private, status
from tests.clients.weechat_support import RUNTIME, SCRIPT, notes, readable, secure, start, talk, wait_note

PASSPHRASE = "correct horse, grün"


def locked(folder: Path) -> None:
    """Put a key that is locked into the home of a WeeChat to be."""
    (folder / "home").mkdir(parents=True)
    secret = folder / "home" / "passphrase"
    secret.touch(0o600)
    secret.write_text(PASSPHRASE + "\n")
    for command in (["generate", "default"], ["passphrase", "--file", str(secret)]):
        done = run(folder, "otr", "keys", *command)
        assert done.returncode == 0, done.stdout + done.stderr
    secret.unlink()


def test_it_is_asked_for(tmp_path: Path, ngircd: Ngircd) -> None:
    locked(tmp_path / "alice")
    with ExitStack() as running:
        (bob,) = start(running, tmp_path, ngircd.port, "bob")
        alice = running.enter_context(
            WeeChat("alice", tmp_path / "alice", ngircd.port, scripts=[SCRIPT], changes=RUNTIME)
        )
        alice.wait_printed("Passphrase of your private keys", CORE)
        alice.say("bob", "too early")
        wait_note(alice, "bob", "Not sent to bob")
        assert not readable([alice], "too early")
        alice.type("/uptime", CORE)  # a command is a command
        alice.wait_printed("WeeChat uptime", CORE)
        alice.type("wrong", CORE)
        alice.wait_printed("Passphrase of your private keys", CORE, 2)
        alice.type(PASSPHRASE, CORE)
        alice.wait(lambda: unlocked(alice), "the keys")
        secure(alice, bob)
        talk(alice, bob, "now")
        assert not [line for line in alice.printed() if PASSPHRASE in line.text]
        assert not [line for line in alice.history() + alice.history(CORE) if PASSPHRASE in line]
        assert not alice.files_with(PASSPHRASE)


def unlocked(alice: WeeChat) -> bool:
    alice.type("/otr keys", status())
    return bool([line for line in alice.printed(status()) if "you have the key" in line.text])


def test_it_is_in_weechats_safe(tmp_path: Path, ngircd: Ngircd) -> None:
    locked(tmp_path / "alice")
    with ExitStack() as running:
        (bob,) = start(running, tmp_path, ngircd.port, "bob")
        alice = running.enter_context(
            WeeChat(
                "alice",
                tmp_path / "alice",
                ngircd.port,
                scripts=[SCRIPT],
                changes=RUNTIME,
                settings={
                    "otrcore.keys.passphrase": "${sec.data.otr}",
                    "sec.data.__passphrase__": "off",
                    "sec.data.otr": PASSPHRASE,
                },
            )
        )
        alice.wait(lambda: unlocked(alice), "the keys")
        secure(alice, bob)
        talk(alice, bob, "now")
        assert not [line for line in alice.printed() if "assphrase" in line.text]
        assert not notes(alice, "bob", "Not sent")
        assert alice.variables(private("bob"))["otr_encrypted"] == "true"
