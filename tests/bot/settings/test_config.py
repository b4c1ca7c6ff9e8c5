"""From file, environment and flags to what the bot uses; every mistake is a sentence that names its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from otrbot.settings.config import (
    Config,
    ConfigError,
    HttpConfig,
    Limits,
    LogFormat,
    Mechanism,
    NetworkConfig,
    Sasl,
)
from otrbot.settings.credentials import SecretFile
from otrbot.settings.file import load, template, toml_text, variables
from otrbot.settings.table import SETTINGS

from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.pacing import Pace
from otrcore.store.folder import default_folder

ONE = '[network.one]\nserver = "irc.example.org"\n'
TWO = ONE + '[network.two]\nserver = "irc2.example.org:7000"\ntls = false\n'
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


def read(
    folder: Path,
    text: str,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[tuple[str, str], str] | None = None,
) -> Config:
    path = folder / "bot.toml"
    path.write_text(text, "utf-8")
    return load(path, environment or {}, flags or {})


def mistakes(
    folder: Path,
    text: str,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[tuple[str, str], str] | None = None,
) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, environment, flags)
    return caught.value.mistakes


def test_a_network_needs_no_more_than_its_server(tmp_path: Path) -> None:
    assert read(tmp_path, ONE) == Config(
        (NetworkConfig("one", ServerAddress("irc.example.org", 6697, tls=True)),)
    )


def test_the_defaults_are_those_of_the_echo_peer() -> None:
    limits = Limits()
    assert (limits.conversations, limits.idle_seconds) == (500, 1800)
    assert (limits.akes_per_minute, limits.akes_per_minute_all) == (4, 20)
    assert (limits.smps_per_minute, limits.smps_at_once) == (2, 1)
    assert (limits.input_burst, limits.input_per_second) == (20, 2)
    assert (limits.ignore_seconds, limits.ignore_seconds_max) == (60, 3600)
    assert (limits.same_text_times, limits.same_text_seconds) == (5, 10)
    assert (limits.queue_lines_per_peer, limits.queue_lines, limits.hint_seconds) == (40, 400, 600)
    assert (limits.big_bytes, limits.fragment_min, limits.fragment_max) == (2000, 100, 440)


def test_the_keys_are_not_those_of_the_chat_clients() -> None:
    """Who tries the bot on their own machine is not taken for it, nor it for them."""
    assert Config(()).data_dir == Path(platformdirs.user_data_dir("otr-bot"))
    assert Config(()).data_dir != default_folder()


def test_everything_that_can_be_set(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        f"""
        [bot]
        data_dir = "keys"
        passphrase_file = "/run/passphrase"
        admins = ["01234567 89abcdef 01234567 89abcdef 01234567", "{FINGERPRINT}"]
        bans = ["*!*@*.example.net", "spam??!*@*"]
        [log]
        format = "JSON"
        level = "debug"
        nicks = true
        [http]
        listen = "[::1]:9000"
        [network.one]
        server = "[2001:db8::1]:7000"
        tls = true
        ca_file = "ca.pem"
        nick = "echo"
        altnicks = ["echo2", "echo3"]
        realname = "an echo"
        server_password_credential = "server-password"
        sasl = "plain"
        account = "echo"
        password_file = "sasl"
        client_cert = "client.pem"
        client_key = "client.key"
        pace = "5/0.5"
        bot_mode = false
        [limits]
        conversations = 7
        idle_seconds = 99.5
        """,
    )
    assert found == Config(
        (
            NetworkConfig(
                "one",
                ServerAddress("2001:db8::1", 7000, tls=True),
                nick="echo",
                altnicks=("echo2", "echo3"),
                realname="an echo",
                server_password=SecretFile(credential="server-password"),
                sasl=Sasl(Mechanism.PLAIN, "echo", SecretFile(tmp_path / "sasl")),
                client_cert=tmp_path / "client.pem",
                client_key=tmp_path / "client.key",
                ca_file=tmp_path / "ca.pem",
                pace=Pace(5, 0.5),
                bot_mode=False,
            ),
        ),
        limits=Limits(conversations=7, idle_seconds=99.5),
        admins=(FINGERPRINT,),
        bans=("*!*@*.example.net", "spam??!*@*"),
        log=found.log,
        http=HttpConfig("::1", 9000),
        data_dir=tmp_path / "keys",
        passphrase_file=Path("/run/passphrase"),
    )
    assert (found.log.format, found.log.level, found.log.nicks) == (LogFormat.JSON, "debug", True)


def test_the_environment_goes_over_the_file_and_flags_over_both(tmp_path: Path) -> None:
    text = ONE + 'nick = "file"\npace = "fast"\n[limits]\nconversations = 1\nakes_per_minute = 1\n'
    environment = {
        "OTRBOT_NETWORK_NICK": "environment",
        "OTRBOT_LIMITS_CONVERSATIONS": "2",
        "OTRBOT_BOT_DATA_DIR": "data",
        "OTRBOT_BOT_BANS": "a!*@*, b!*@*",
        "OTRBOT_CONFIG": "elsewhere.toml",
        "HOME": "/nowhere",
    }
    found = read(tmp_path, text, environment, {("network", "nick"): "flag"})
    (network,) = found.networks
    assert (network.nick, network.pace) == ("flag", Pace.FAST)
    assert (found.limits.conversations, found.limits.akes_per_minute) == (2, 1)
    assert found.data_dir == Path("data")
    assert found.bans == ("a!*@*", "b!*@*")


def test_a_network_of_several_is_named_by_its_variable(tmp_path: Path) -> None:
    found = read(tmp_path, TWO, {"OTRBOT_NETWORK_TWO_NICK": "second"})
    assert [network.nick for network in found.networks] == ["otr-echo", "second"]
    (sentence,) = mistakes(tmp_path, TWO, {"OTRBOT_NETWORK_NICK": "which"})
    assert "OTRBOT_NETWORK_ONE_NICK" in sentence
    (sentence,) = mistakes(tmp_path, TWO, flags={("network", "nick"): "which"})
    assert sentence.startswith("--nick ")


def test_a_server_in_the_environment_is_enough() -> None:
    found = load(None, {"OTRBOT_NETWORK_SERVER": "irc.example.org"}, {})
    assert found.networks == (NetworkConfig("irc", ServerAddress("irc.example.org", 6697, tls=True)),)


def test_nothing_at_all() -> None:
    with pytest.raises(ConfigError, match="OTRBOT_NETWORK_SERVER"):
        load(None, {}, {})


def test_all_mistakes_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        [limits]
        conversation = 1
        akes_per_minute = "many"
        smps_at_once = 0
        [network.one]
        nick = "two words"
        [netwrok.two]
        """,
        {"OTRBOT_LOG_LEVEL": "loud", "OTRBOT_LIMIT_CONVERSATIONS": "3"},
    )
    told = "\n".join(found)
    path = tmp_path / "bot.toml"
    for part in (
        "[limits] has no setting conversation: do you mean conversations?",
        f"{path}, [limits] akes_per_minute: it must be a whole number from 1 to",
        f"{path}, [limits] smps_at_once: it must be",
        f"{path}, [network.one] nick: it must be a nick",
        "there is no section [netwrok]: do you mean network?",
        "[network.one] names no server",
        "OTRBOT_LOG_LEVEL in the environment: it must be",
        "OTRBOT_LIMIT_CONVERSATIONS is no setting: do you mean OTRBOT_LIMITS_CONVERSATIONS?",
    ):
        assert part in told
    assert len(found) == 8
    assert all(re.fullmatch(r"[^\n]+[.?]", sentence) for sentence in found)


@pytest.mark.parametrize(
    ("addition", "part"),
    [
        ('sasl = "plain"', "needs account and password_file"),
        ('sasl = "plain"\naccount = "a"', "needs account and password_file"),
        ('account = "a"', "no sasl"),
        ('sasl = "external"', "needs client_cert"),
        ('sasl = "scram"', 'it must be one of "plain", "external"'),
        ('client_key = "key"', "without client_cert"),
        ('tls = false\nca_file = "ca"', "tls = true"),
        ('tls = false\nserver_password_file = "p"', "unencrypted"),
        ('server_password_file = "p"\nserver_password_credential = "p"', "keep one"),
        ('server_password_credential = "../../etc/shadow"', "name of a credential"),
        ('pace = "quick"', "a pace"),
        ('pace = "0/1"', "a pace"),
        ('pace = "1/0"', "a pace"),
        ('realname = "a\\nb"', "printable"),
        ('altnicks = "echo"', "a list"),
        ('altnicks = ["#channel"]', "a nick"),
        ("tls = 1", "true or false"),
        ("nick = 5", "a nick"),
        ('[network.two]\nserver = ["a"]', "HOST"),
        ('[bot]\nadmins = ["0123"]', "a fingerprint"),
        ('[bot]\nbans = ["spammer"]', "a mask"),
        ('[http]\nlisten = "localhost"', "HOST:PORT"),
        ("[limits]\nidle_seconds = nan", "a number from"),
        ("[limits]\nidle_seconds = inf", "a number from"),
        ("[limits]\nconversations = true", "a whole number"),
        ("[limits]\nconversations = 5.5", "a whole number"),
        ("[limits]\nfragment_min = 300\nfragment_max = 200", "must not be more than fragment_max"),
        ("[limits]\nignore_seconds = 4000", "must not be more than ignore_seconds_max"),
        ("[limits]\nqueue_lines = 50\nqueue_lines_per_peer = 60", "must not be more than queue_lines"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, addition: str, part: str) -> None:
    assert part in "\n".join(mistakes(tmp_path, ONE + addition))


def test_passwords_may_go_unencrypted_to_this_machine_only(tmp_path: Path) -> None:
    for host in ("localhost", "127.0.0.1", "[::1]:6667"):
        text = f'[network.one]\nserver = "{host}"\ntls = false\nserver_password_file = "p"'
        assert read(tmp_path, text).networks[0].server_password == SecretFile(tmp_path / "p")
    text = '[network.one]\nserver = "127.example.org"\ntls = false\nserver_password_file = "p"'
    assert "unencrypted" in mistakes(tmp_path, text)[0]


@pytest.mark.parametrize("name", ["One", "a b", "server", "é", "x" * 33, "-a", '""'])
def test_a_network_has_a_plain_name(tmp_path: Path, name: str) -> None:
    key = name if name == '""' else f'"{name}"'
    found = mistakes(tmp_path, f'[network.{key}]\nserver = "irc.example.org"')
    assert "[network.NAME]" in found[0]


def test_a_file_that_is_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    for content, part in (
        (b"[network.one\n", "line 1"),
        (b"\xff", "UTF-8"),
        (b"a = " + b"[" * 100_000, "not TOML"),
        (b"#" * (1 << 20) + b"\n", "too long"),
        (b"[[network]]\n", "must be a section"),
        (b"network = 1\n", "must be a section"),
        (b"".join(b"[network.n%d]\n" % number for number in range(51)), "more than 50 networks"),
    ):
        path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load(path, {}, {})
        assert part in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "missing", {}, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {}, {})


def test_there_is_an_end_to_the_mistakes(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "".join(f"[section{number}]\n" for number in range(1000)))
    assert len(found) == 51
    assert found[-1] == "There are 951 more mistakes."


def test_the_first_file_is_what_it_says(tmp_path: Path) -> None:
    """Every setting is in it, and what it shows behind a # as the default is the default."""
    text = template({}, "one")
    plain = read(tmp_path, text)
    assert plain.networks == read(tmp_path, ONE).networks
    assert plain.limits == Limits()
    examples = ("_file", "_credential", "sasl", "account", "client_", "altnicks")
    shown = re.sub(
        r"(?m)^# ([a-z_]+) = ", lambda m: m[0] if any(e in m[1] for e in examples) else f"{m[1]} = ", text
    )
    found = read(tmp_path, shown)
    assert (found.networks, found.limits, found.log) == (plain.networks, plain.limits, plain.log)
    for setting in SETTINGS:
        assert re.search(rf"(?m)^(# )?{setting.key} = ", text), setting.key
    assert len(tomllib.loads(shown)["limits"]) == len(fields(Limits))


def test_every_setting_has_a_variable() -> None:
    names = [name for name, _ in variables()]
    assert len(set(names)) == len(names) == len(SETTINGS)
    assert all(re.fullmatch(r"OTRBOT_[A-Z_]+", name) for name in names)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_texts_are_written_as_toml(text: str) -> None:
    assert tomllib.loads(f"a = {toml_text(text)}") == {"a": text}


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
def test_no_file_raises_anything_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        load(path, {}, {})
