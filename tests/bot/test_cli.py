"""The commands of `otr-bot` as an operator types them: what they do, say and end with."""

from __future__ import annotations

import re
import sqlite3
import stat
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.bot.bot_process import otr_bot
from tests.clients.drivers.waiting import free_port

PASSPHRASE = "a passphrase of the keys"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def one_sentence(text: str) -> bool:
    """Whether a text is lines that end as sentences do, and no traceback."""
    return (
        bool(text)
        and "Traceback" not in text
        and all(re.search(r"[.?:]$", line) for line in text.splitlines())
    )


def test_version(tmp_path: Path) -> None:
    done = otr_bot(tmp_path, "--version")
    assert (done.returncode, done.stdout) == (0, f"otr-bot {version('otrcore')}\n")


def test_help_names_the_variables(tmp_path: Path) -> None:
    done = otr_bot(tmp_path, "run", "--help")
    assert done.returncode == 0
    assert re.search(r"(?m)^ *OTRBOT_LIMITS_CONVERSATIONS ", done.stdout)
    assert "OTRBOT_NETWORK_PASSWORD_FILE" in done.stdout


def test_the_three_commands_of_an_operator(tmp_path: Path) -> None:
    done = otr_bot(tmp_path, "init", "--server", "irc.example.org:7000", "--nick", "my-echo")
    assert done.returncode == 0, done.stderr
    found = re.search(r"fingerprint on irc is ([0-9A-F]{8}(?: [0-9A-F]{8}){4})\.", done.stdout)
    assert found is not None
    path = tmp_path / "bot.toml"
    assert mode(path) == 0o600
    assert mode(tmp_path / "keys") == 0o700
    assert mode(tmp_path / "keys" / "otrcore.sqlite") == 0o600
    assert sorted(one.name for one in tmp_path.iterdir() if one.name not in ("home", "tmp")) == [
        "bot.toml",
        "keys",
    ]
    text = path.read_text()
    assert 'server = "irc.example.org:7000"' in text
    assert 'nick = "my-echo"' in text
    checked = otr_bot(tmp_path, "check-config")
    assert (checked.returncode, checked.stdout) == (0, "bot.toml can be used.\n")
    printed = otr_bot(tmp_path, "run", "--config", "bot.toml", "--nick", "other", "--print-config")
    assert printed.returncode == 0
    assert 'nick = "other"' in printed.stdout
    (tmp_path / "again.toml").write_text(printed.stdout)
    again = otr_bot(tmp_path, "check-config", "--config", "again.toml", "--print-config")
    assert again.stdout == printed.stdout


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text("mine")
    done = otr_bot(tmp_path, "init")
    assert done.returncode == 78
    assert "left as it is" in done.stderr and one_sentence(done.stderr)
    assert path.read_text() == "mine"
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert otr_bot(tmp_path, "init").returncode == 78
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "keys").exists()


def test_init_makes_the_keys_that_are_missing_and_keeps_the_others(tmp_path: Path) -> None:
    first = otr_bot(tmp_path, "init", "--network", "one")
    path = tmp_path / "bot.toml"
    path.write_text(path.read_text() + '[network.two]\nserver = "irc2.example.org"\n')
    refused = otr_bot(tmp_path, "run", "--config", "bot.toml")
    assert refused.returncode == 78
    assert "There is no key for two" in refused.stderr and "otr-bot init" in refused.stderr
    second = otr_bot(tmp_path, "init", "--keys-only")
    assert second.returncode == 0
    fingerprints = re.findall(r"on (\w+) is ([0-9A-F ]{44})", second.stdout)
    assert [name for name, _ in fingerprints] == ["one", "two"]
    assert fingerprints[0][1] in first.stdout
    assert fingerprints[0][1] != fingerprints[1][1]


def test_run_makes_no_keys(tmp_path: Path) -> None:
    (tmp_path / "bot.toml").write_text(
        '[bot]\ndata_dir = "keys"\n[network.one]\nserver = "127.0.0.1:1"\ntls = false\n'
    )
    done = otr_bot(tmp_path, "run", "--config", "bot.toml")
    assert done.returncode == 78
    assert "There is no key for one" in done.stderr and "otr-bot init" in done.stderr
    assert one_sentence(done.stderr)
    assert not (tmp_path / "keys").exists()


def test_a_command_line_that_makes_no_sense_is_64(tmp_path: Path) -> None:
    for arguments in (
        ["run"],
        ["run", "--server", "a:b:c"],
        ["run", "--server", "irc.example.org", "--nick", "#a"],
        ["run", "--server", "irc.example.org", "--pace", "quick"],
        ["run", "--unknown"],
        ["walk"],
        ["init", "--network", "A B"],
        [],
    ):
        done = otr_bot(tmp_path, *arguments)
        assert done.returncode == 64, arguments
        assert "Traceback" not in done.stderr


def test_all_mistakes_are_told(tmp_path: Path) -> None:
    (tmp_path / "bot.toml").write_text("[limits]\nconversation = 1\n[network.one]\nnick = 1\n")
    for command in ("run", "check-config"):
        done = otr_bot(tmp_path, command, "--config", "bot.toml")
        assert done.returncode == 78
        assert len(done.stderr.splitlines()) == 3
        assert one_sentence(done.stderr)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = otr_bot(tmp_path, "run", "--config", "missing.toml")
    assert done.returncode == 78
    assert one_sentence(done.stderr)


@pytest.mark.parametrize("what", ["keys", "keys/otrcore.sqlite", "password"])
def test_what_others_can_read_is_refused(tmp_path: Path, what: str) -> None:
    assert otr_bot(tmp_path, "init").returncode == 0
    path = tmp_path / "bot.toml"
    password = tmp_path / "password"
    password.write_text("unmentionable\n")
    password.chmod(0o600)
    text = 'server = "irc.example.org"\n'
    path.write_text(path.read_text().replace(text, text + 'server_password_file = "password"\n', 1))
    assert otr_bot(tmp_path, "check-config").returncode == 0
    (tmp_path / what).chmod(0o755 if what == "keys" else 0o644)
    for command in ("run", "check-config"):
        done = otr_bot(tmp_path, command, "--config", "bot.toml")
        assert done.returncode == 78
        assert "can be read by others" in done.stderr and "chmod go=" in done.stderr
        assert one_sentence(done.stderr)
        assert "unmentionable" not in done.stderr


def test_check_config_looks_at_certificates(tmp_path: Path) -> None:
    assert otr_bot(tmp_path, "init").returncode == 0
    path = tmp_path / "bot.toml"
    (tmp_path / "no.pem").write_text("no certificate")
    (tmp_path / "no.pem").chmod(0o600)
    text = 'server = "irc.example.org"\n'
    additions = 'sasl = "external"\nclient_cert = "no.pem"\nca_file = "no.pem"\n'
    path.write_text(path.read_text().replace(text, text + additions, 1))
    done = otr_bot(tmp_path, "check-config")
    assert done.returncode == 78
    assert "ca_file" in done.stderr and "client_cert" in done.stderr
    assert one_sentence(done.stderr)


def passphrase_file(folder: Path, text: str = PASSPHRASE) -> Path:
    path = folder / "passphrase"
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def test_keys_are_locked_by_the_passphrase_of_a_file(tmp_path: Path) -> None:
    path = passphrase_file(tmp_path)
    assert otr_bot(tmp_path, "init", "--passphrase-file", path).returncode == 0
    with sqlite3.connect(tmp_path / "keys" / "otrcore.sqlite") as database:
        assert database.execute("SELECT count(*) FROM sealing").fetchone() == (1,)
    assert otr_bot(tmp_path, "check-config").returncode == 0
    passphrase_file(tmp_path, "another")
    done = otr_bot(tmp_path, "check-config")
    assert done.returncode == 78
    assert "not the passphrase" in done.stderr and "another" not in done.stderr


def test_the_passphrase_comes_from_the_environment_or_from_systemd(tmp_path: Path) -> None:
    path = passphrase_file(tmp_path)
    assert otr_bot(tmp_path, "init", "--passphrase-file", path).returncode == 0
    config = tmp_path / "bot.toml"
    config.write_text(re.sub(r"(?m)^passphrase_file.*\n", "", config.read_text()))
    silent = otr_bot(tmp_path, "run", "--config", config)
    assert silent.returncode == 78
    assert "OTR_PASSPHRASE_FILE" in silent.stderr and one_sentence(silent.stderr)
    by_variable = otr_bot(tmp_path, "check-config", changes={"OTR_PASSPHRASE_FILE": str(path)})
    assert by_variable.returncode == 0, by_variable.stderr
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    credential = folder / "otrcore-passphrase"
    credential.write_text(PASSPHRASE)
    # The mode that an access list of systemd's shows.
    credential.chmod(0o440)
    by_systemd = otr_bot(tmp_path, "check-config", changes={"CREDENTIALS_DIRECTORY": str(folder)})
    assert by_systemd.returncode == 0, by_systemd.stderr
    credential.chmod(0o444)
    assert otr_bot(tmp_path, "check-config", changes={"CREDENTIALS_DIRECTORY": str(folder)}).returncode == 78


def test_once_ends_where_nobody_listens(tmp_path: Path) -> None:
    arguments = ["--server", f"127.0.0.1:{free_port()}", "--data-dir", str(tmp_path / "data")]
    done = otr_bot(tmp_path, "run", *arguments, "--once")
    assert done.returncode == 69
    assert "Nothing accepts connections" in done.stderr and "Traceback" not in done.stderr


def test_selftest(tmp_path: Path) -> None:
    done = otr_bot(tmp_path, "selftest")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "The bot works here: key exchange, echo and verification were tried.\n"
