"""`otr chat` in a terminal of its own: secrets are asked for unseen, and it is given back as it was."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from otrcore.cli.chat import LONGEST_SECRET
from otrcore.cli.terminal import MAX_LINE_BYTES
from otrcore.events import SessionOpened, SmpAborted, SmpAsked, SmpFailed, SmpSucceeded
from otrcore.irc.connection.address import ServerAddress
from tests.irc.connection.people import Person, Scene

PATIENCE = 60.0
PROMPT = "An empty line calls it off."
SECRET = "hunter2 and more"
CTRL_C, CTRL_D, CTRL_BACKSLASH = b"\x03", b"\x04", b"\x1c"

# The program is a session's leader and owns its terminal, so that Ctrl-C typed there reaches it.
LOG_IN = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"


class Server:
    """The demo's server, and every line that crossed it."""

    def __init__(self, running: ExitStack, wire: Path) -> None:
        self._wire = wire
        with wire.open("wb") as output:
            self.process = running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "otrcore.cli.demo_server", "--until-stdin-closes", "--wire"],
                    stdin=subprocess.PIPE,
                    stdout=output,
                )
            )
        running.callback(self.process.terminate)
        until(lambda: b"\n" in wire.read_bytes(), lambda: "the server does not start")
        self.port = int(wire.read_bytes().partition(b"\n")[0])
        self.address = ServerAddress("127.0.0.1", self.port)

    def crossed(self, text: str) -> bool:
        return text in self._wire.read_text(errors="replace")


def until(look: Callable[[], object], what: Callable[[], str]) -> None:
    """Wait until `look` is true."""
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)


class Chat:
    """A running `otr chat`; what it has shown, the echo of what was typed included, is in `screen`."""

    def __init__(
        self, running: ExitStack, server: Server, me: str, peer: str, folder: Path, *, echo: bool = True
    ) -> None:
        self.me = me
        self.others: list[Person] = []
        """Who is to hear and talk while we wait for something to be shown."""
        self._shown = b""
        self._terminal, inside = pty.openpty()
        running.callback(os.close, self._terminal)
        if not echo:
            self._set_echo(False)
        program = str(Path(sys.executable).with_name("otr"))
        self.process = running.enter_context(
            subprocess.Popen(
                [
                    *(sys.executable, "-c", LOG_IN, program, "chat", f"127.0.0.1:{server.port}", peer),
                    *("--me", me, "--data-dir", str(folder)),
                ],
                stdin=inside,
                stdout=inside,
                stderr=inside,
            )
        )
        running.callback(self.process.kill)
        # Kept open here too, as a terminal that nobody has open any more forgets its settings.
        running.callback(os.close, inside)
        self.wait_for("-- Connected to ")

    @property
    def screen(self) -> str:
        self._read(0.0)
        return self._shown.decode(errors="replace")

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._terminal)[3] & termios.ECHO)

    def _set_echo(self, echo: bool) -> None:
        settings = termios.tcgetattr(self._terminal)
        settings[3] = settings[3] | termios.ECHO if echo else settings[3] & ~termios.ECHO
        termios.tcsetattr(self._terminal, termios.TCSANOW, settings)

    def press(self, keys: bytes) -> None:
        os.write(self._terminal, keys)

    def type(self, line: str | bytes) -> None:
        self.press((line.encode() if isinstance(line, str) else line) + b"\n")

    def wait_for(self, text: str, times: int = 1) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.screen.count(text) < times:
            assert time.monotonic() < deadline, f"{self.me} waits for {text!r}, and sees:\n{self.screen}"
            self._read(0.05)

    def wait_for_prompt(self, times: int = 1) -> None:
        """Until a secret is asked for, unseen."""
        self.wait_for(PROMPT, times)
        until(lambda: not self.echoes, lambda: f"still echoing:\n{self.screen}")

    def wait_for_end(self) -> int:
        """Until the program has ended; its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"{self.me} does not end:\n{self.screen}"
            self._read(0.05)
        return self.process.returncode

    def _read(self, seconds: float) -> None:
        while select.select([self._terminal], [], [], seconds)[0]:
            seconds = 0.0
            self._shown += os.read(self._terminal, 65536)
        for person in self.others:
            person.runner.process(0.0)


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(running: ExitStack, tmp_path: Path) -> Server:
    return Server(running, tmp_path / "wire")


@pytest.fixture
def bob(server: Server, running: ExitStack) -> Person:
    """The other one, here in this process."""
    scene = Scene(server.address)
    running.callback(scene.close)
    return scene.join("bob")


@pytest.fixture
def alice(server: Server, running: ExitStack, tmp_path: Path, bob: Person) -> Chat:
    """A chat that is encrypted with Bob."""
    chat = Chat(running, server, "alice", "bob", tmp_path / "alice")
    chat.others.append(bob)
    chat.type("/otr start")
    process_until(bob, lambda: bob.has(SessionOpened))
    chat.wait_for("Secured: the conversation with bob is encrypted")
    return chat


def process_until(person: Person, look: Callable[[], object]) -> None:
    """Let a person's client run until `look` is true."""
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, person.shown
        person.runner.process(0.02)


def test_a_secret_is_not_echoed_and_not_sent(server: Server, alice: Chat, bob: Person) -> None:
    assert alice.echoes
    alice.type("/otr smp ask Which one?")
    alice.wait_for_prompt()
    alice.type(SECRET)
    process_until(bob, lambda: bob.has(SmpAsked))
    alice.wait_for("Verifying with bob: 25 per cent.")
    assert alice.echoes
    assert SECRET not in alice.screen

    alice.type("seen again")
    process_until(bob, lambda: bob.encrypted_texts)
    assert bob.encrypted_texts == ["seen again"]
    assert "seen again" in alice.screen
    assert bob.plain_texts == []
    assert not server.crossed(SECRET)
    assert not server.crossed("seen again")

    bob.runner.command("alice", "smp answer")
    bob.secret(SECRET)
    process_until(bob, lambda: bob.has(SmpSucceeded))
    alice.wait_for("Verified: bob knows the answer")


def test_an_answer_is_not_echoed_either(server: Server, alice: Chat, bob: Person) -> None:
    bob.runner.command("alice", "smp ask Which one?")
    bob.secret(SECRET)
    alice.wait_for('and asks: "Which one?"')
    assert alice.echoes, "the prompt comes when it is asked for"
    alice.type("/otr smp answer")
    alice.wait_for_prompt()
    alice.type(SECRET.upper())
    process_until(bob, lambda: bob.has(SmpFailed))
    alice.wait_for("NOT verified")
    assert alice.echoes
    assert SECRET.upper() not in alice.screen
    assert bob.encrypted_texts == []


def test_an_empty_line_calls_it_off(server: Server, alice: Chat, bob: Person) -> None:
    alice.type("/otr smp ask")
    alice.wait_for_prompt()
    alice.type("")
    until(lambda: alice.echoes, lambda: alice.screen)
    alice.type("now a message")
    process_until(bob, lambda: bob.encrypted_texts)
    assert bob.encrypted_texts == ["now a message"]
    assert not bob.has(SmpAsked)


@pytest.mark.parametrize("secret", ["/quit", "/otr smp abort", "//x", " "], ids=ascii)
def test_what_is_typed_at_the_prompt_is_no_command(alice: Chat, bob: Person, secret: str) -> None:
    alice.type("/otr smp ask")
    alice.wait_for_prompt()
    alice.type(secret)
    process_until(bob, lambda: bob.has(SmpAsked))
    bob.runner.command("alice", "smp answer")
    bob.secret(secret)
    process_until(bob, lambda: bob.has(SmpSucceeded))
    assert bob.encrypted_texts == []


def interrupt(chat: Chat, server: Server) -> None:
    chat.press(CTRL_C)


def press_quit(chat: Chat, server: Server) -> None:
    chat.press(CTRL_BACKSLASH)


def terminate(chat: Chat, server: Server) -> None:
    chat.process.send_signal(signal.SIGTERM)


def end_of_input(chat: Chat, server: Server) -> None:
    chat.press(CTRL_D)


def lose_the_server(chat: Chat, server: Server) -> None:
    server.process.terminate()


@pytest.mark.parametrize("end", [interrupt, press_quit, terminate, end_of_input, lose_the_server])
def test_the_terminal_echoes_again_however_it_ends(
    server: Server, alice: Chat, bob: Person, end: Callable[[Chat, Server], None]
) -> None:
    """In the middle of the prompt, with half a secret typed."""
    alice.type("/otr smp ask")
    alice.wait_for_prompt()
    if end is not end_of_input:
        alice.press(b"hunter2")
    end(alice, server)
    status = alice.wait_for_end()
    assert status == (1 if end is lose_the_server else 0), alice.screen
    assert alice.echoes
    assert "hunter2" not in alice.screen
    assert not server.crossed("hunter2")


def test_a_terminal_that_did_not_echo_is_left_so(
    running: ExitStack, server: Server, tmp_path: Path, bob: Person
) -> None:
    """Programs that run others in a terminal of theirs may want no echo."""
    chat = Chat(running, server, "alice", "bob", tmp_path / "alice", echo=False)
    chat.press(CTRL_C)
    chat.wait_for_end()
    assert not chat.echoes


@pytest.mark.parametrize("peer_does", ["ends", "leaves", "gives up"])
def test_the_verification_ends_in_the_middle_of_the_prompt(
    server: Server, alice: Chat, bob: Person, peer_does: str
) -> None:
    """What the user goes on typing is still a secret: it is neither shown nor sent."""
    if peer_does == "gives up":
        bob.runner.command("alice", "smp ask")
        bob.secret(SECRET)
        alice.wait_for("wants to verify you by a secret")
        alice.type("/otr smp answer")
    else:
        alice.type("/otr smp ask")
    alice.wait_for_prompt()
    alice.press(SECRET[:4].encode())
    if peer_does == "ends":
        bob.runner.end("alice")
        alice.wait_for("bob has ended the encrypted conversation")
    elif peer_does == "leaves":
        alice.others.clear()
        bob.runner.close("bye")
    else:
        bob.runner.command("alice", "smp abort")
        process_until(bob, lambda: bob.has(SmpAborted))
        alice.wait_for("bob has called off the verification")
    alice.type(SECRET[4:])
    alice.type("/otr status")
    alice.wait_for("The conversation with bob" if peer_does == "gives up" else "encrypted conversation")
    until(lambda: alice.echoes, lambda: alice.screen)
    assert SECRET[4:] not in alice.screen
    assert not server.crossed(SECRET[4:])
    if peer_does == "gives up":
        alice.type("and a message")
        process_until(bob, lambda: bob.encrypted_texts)
        assert bob.encrypted_texts == ["and a message"]


def test_a_newer_question_takes_the_place_of_a_prompt_and_of_what_is_half_typed(
    server: Server, alice: Chat, bob: Person
) -> None:
    bob.runner.command("alice", "smp ask First?")
    bob.secret("the first")
    alice.wait_for('and asks: "First?"')
    alice.type("/otr smp answer")
    alice.wait_for_prompt()
    alice.press(b"the fir")
    # As libotr, which begins anew without ending what was there before.
    bob.accounts[-1].conversation("alice").smp_abort()
    bob.runner.command("alice", "smp ask Second?")
    bob.secret(SECRET)
    alice.wait_for_prompt(times=2)
    assert 'Your answer for bob: "Second?"' in alice.screen
    alice.type(SECRET)
    process_until(bob, lambda: bob.has(SmpSucceeded))
    assert SECRET not in alice.screen
    assert alice.echoes


def test_no_piece_of_a_secret_is_sent_as_a_text(
    running: ExitStack, server: Server, tmp_path: Path, bob: Person
) -> None:
    """From a pipe it can be of any length, and comes in pieces."""
    assert LONGEST_SECRET <= MAX_LINE_BYTES - 4
    chat = piped(running, server, tmp_path)
    assert chat.stdin is not None
    chat.stdin.write(b"/otr start\n")
    chat.stdin.write(b"both are there\n")
    process_until(bob, lambda: bob.encrypted_texts)
    chat.stdin.write(b"/otr smp ask\n" + b"hunter2" * 10_000 + b"\n" + b"a message\n")
    process_until(bob, lambda: len(bob.encrypted_texts) > 1)
    assert bob.encrypted_texts == ["both are there", "a message"]
    assert bob.plain_texts == []
    assert not bob.has(SmpAsked)


def piped(running: ExitStack, server: Server, folder: Path) -> subprocess.Popen[bytes]:
    program = str(Path(sys.executable).with_name("otr"))
    chat = running.enter_context(
        subprocess.Popen(
            [
                *(program, "chat", f"127.0.0.1:{server.port}", "bob", "--me", "alice"),
                *("--data-dir", str(folder / "alice")),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            bufsize=0,
        )
    )
    running.callback(chat.kill)
    return chat


def test_prompts_work_without_a_terminal(
    running: ExitStack, server: Server, tmp_path: Path, bob: Person
) -> None:
    """From a pipe, the line behind the command is the secret."""
    chat = piped(running, server, tmp_path)
    assert chat.stdin is not None
    chat.stdin.write(b"/otr start\n")
    # What is typed too early waits until both are encrypted; a command does not.
    chat.stdin.write(b"both are there\n")
    process_until(bob, lambda: bob.encrypted_texts)
    chat.stdin.write(b"/otr smp ask\n" + SECRET.encode() + b"\n")
    process_until(bob, lambda: bob.has(SmpAsked))
    bob.runner.command("alice", "smp answer")
    bob.secret(SECRET)
    process_until(bob, lambda: bob.has(SmpSucceeded))
    assert not server.crossed(SECRET)
    assert not bob.plain_texts


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        ("Größe 7", "Größe 7", "Verified: "),
        ("Größe 7", "größe 7", "NOT verified: "),
        (b"caf\xe9", b"caf\xe8", "NOT verified: "),
    ],
    ids=["right", "wrong", "no UTF-8"],
)
def test_two_chats_verify_each_other(
    running: ExitStack,
    server: Server,
    tmp_path: Path,
    one: str | bytes,
    other: str | bytes,
    outcome: str,
) -> None:
    alice = Chat(running, server, "alice", "bob", tmp_path / "alice")
    bob = Chat(running, server, "bob", "alice", tmp_path / "bob")
    alice.type("/otr start")
    alice.wait_for("Secured: ")
    bob.wait_for("Secured: ")
    alice.type("/otr smp ask")
    alice.wait_for_prompt()
    alice.type(one)
    bob.wait_for("alice wants to verify you by a secret")
    bob.type("/otr smp answer")
    bob.wait_for_prompt()
    bob.type(other)
    for chat in (alice, bob):
        chat.wait_for(f"-- {outcome}")
        assert chat.echoes
        assert "größe" not in chat.screen.lower()
        assert "caf" not in chat.screen
    alice.type("and a message")
    bob.wait_for("[encrypted] <alice> and a message")
    for chat in (alice, bob):
        chat.type("/quit")
        assert chat.wait_for_end() == 0, chat.screen
        assert chat.echoes
    assert not server.crossed("and a message")
