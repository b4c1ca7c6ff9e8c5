"""The `/otr` commands: one table, from which reading, help, completion and running come.

Names are those of weechat-otr where it has them, with irssi's as aliases, so that nobody has
to learn new ones.  One thing differs: where those take a secret behind the command, we never
do.  A line that is typed stays on screens and in histories, so secrets are asked for unseen;
and what somebody types there by habit is neither used, nor sent, nor shown again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..conversation import Conversation
from ..errors import OtrcoreError, UsageError
from ..events import Event
from ..model import Fingerprint, MessageState, Trust
from ..policy import ALLOWING, POLICY_WORDS, PRESETS, Policy, changed
from . import texts
from .actions import Action, ShowNote
from .host import IrcHost

QUESTION_MARKS = "?\N{FULLWIDTH QUESTION MARK}\N{ARABIC QUESTION MARK}\N{GREEK QUESTION MARK}"
"""What a question ends with.  In other clients a secret stands here, alone or behind the question."""

NETWORK = "network"

Run = Callable[[IrcHost, str, str], list[Action]]
"""Takes the host, the peer's nick and the argument."""

Anywhere = Callable[[IrcHost | None, str, str], list[Action]]
"""The same; the host is None where no server is connected."""


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the table.

    `argument` names what may stand behind it, "" if nothing may; `choices` are words that may.
    `secret`: other clients take a secret there, so that what is there now may well be one.
    `anywhere` is in place of `run` for what is about no conversation.
    """

    name: str
    about: str
    run: Run | None = None
    aliases: tuple[str, ...] = ()
    argument: str = ""
    choices: tuple[str, ...] = ()
    secret: bool = False
    anywhere: Anywhere | None = None

    @property
    def usage(self) -> str:
        """How it is written."""
        return f"/otr {self.name} {self.argument}".rstrip()


@dataclass(frozen=True, slots=True)
class Request:
    """A command that was understood, and what stood behind it."""

    command: Command
    argument: str = ""


class Table:
    """Commands by their names; a host with more of them makes a table of these and its own."""

    def __init__(self, commands: Sequence[Command]) -> None:
        """ValueError if a name means two things."""
        self.commands = tuple(commands)
        self._names: dict[tuple[str, ...], Command] = {}
        for command in self.commands:
            for name in (command.name, *command.aliases):
                if self._names.setdefault(tuple(name.split()), command) is not command:
                    raise ValueError(f"two commands are called {name!r}")
        self._longest = max(map(len, self._names), default=0)

    def parse(self, typed: str) -> Request | None:
        """Understand what stands behind `/otr`; None if it is no command.  The argument stays as typed."""
        words = typed.split()
        if not words:
            return self.parse("help")
        # The longest name first, so that a word of it is not taken for an argument of a shorter one.
        for count in range(self._longest, 0, -1):
            command = self._names.get(tuple(word.lower() for word in words[:count]))
            if command is not None:
                behind = typed.split(None, count)[count:]
                return Request(command, behind[0].rstrip() if behind else "")
        return None

    def anywhere(self, typed: str) -> bool:
        """Whether what stands behind `/otr` needs no server: what is no command has the others listed."""
        request = self.parse(typed)
        return request is None or request.command.anywhere is not None

    def run(self, host: IrcHost | None, nick: str, typed: str) -> list[Action]:
        """Do what stands behind `/otr` in the conversation with this nick.

        UsageError without a host, where one is needed.
        """
        request = self.parse(typed)
        if request is None:
            # Not repeated, as all notes: it may be a secret behind a command that is another client's.
            unknown = "There is no such command, and nothing was sent. These are there:"
            return [_note(nick, unknown, *self.help_lines())]
        command, argument = request.command, request.argument
        if argument and not command.argument:
            unused = f"Nothing may stand behind {command.usage}: what stood there was neither used nor sent."
            if not command.secret:
                return [_note(nick, unused)]
            return [_note(nick, unused), *_run(command, host, nick, "")]
        if command.name == "help":
            return [_note(nick, *self.help_lines())]
        return _run(command, host, nick, argument)

    def complete(self, typed: str) -> tuple[str, ...]:
        """Return the words that the last, perhaps still empty, word behind `/otr` may become."""
        *before, last = typed.lower().split(" ")
        done = [word for word in before if word]
        return tuple(dict.fromkeys(word for word in self._words(done) if word.startswith(last)))

    def _words(self, done: list[str]) -> Iterator[str]:
        for command in self.commands:
            name = command.name.split()
            if len(done) < len(name) and name[: len(done)] == done:
                yield name[len(done)]
            elif name == done[: len(name)]:
                behind = done[len(name) :]
                choices = [choice.split() for choice in command.choices]
                yield from (words[len(behind)] for words in choices if _goes_on(words, behind))

    def help_lines(self) -> tuple[str, ...]:
        """Return a line for each command."""
        width = max(len(command.usage) for command in self.commands)
        return tuple(f"{command.usage:{width}}  {command.about}" for command in self.commands)


def _goes_on(words: list[str], behind: list[str]) -> bool:
    return len(words) > len(behind) and words[: len(behind)] == behind


def _run(command: Command, host: IrcHost | None, nick: str, argument: str) -> list[Action]:
    """Run a command; one about a conversation once what is under way with the peer has ended."""
    run, anywhere = command.run, command.anywhere
    if anywhere is not None:
        return _or_told(nick, lambda: anywhere(host, nick, argument))
    if host is None or run is None:
        raise UsageError("Not connected yet: try again in a moment.")
    return _or_told(
        nick, lambda: host.in_turn(nick, lambda nick: _or_told(nick, lambda: run(host, nick, argument)))
    )


def _or_told(nick: str, run: Callable[[], list[Action]]) -> list[Action]:
    try:
        return run()
    except OtrcoreError as error:
        return [_note(nick, str(error))]


def _note(nick: str, *lines: str) -> ShowNote:
    return ShowNote(nick, lines)


def _plainly(run: Callable[[IrcHost, str], list[Action]]) -> Run:
    return lambda host, nick, argument: run(host, nick)


def _ask(host: IrcHost, nick: str, question: str) -> list[Action]:
    if question and not question.endswith(tuple(QUESTION_MARKS)):
        return [
            _note(
                nick,
                f"{nick} was asked nothing: what stands behind this command is shown to {nick}, and has to "
                "end with a question mark. The secret is asked for afterwards.",
            )
        ]
    return host.ask(nick, question or None)


def _ask_or_answer(host: IrcHost, nick: str, argument: str) -> list[Action]:
    talk = host.talk(nick)
    return host.answer(nick) if talk is not None and talk.smp_waiting else host.ask(nick)


def _trust(host: IrcHost, nick: str, typed: str) -> list[Action]:
    talk = host.talk(nick)
    info = talk.info if talk is not None else None
    if talk is None or info is None:
        return [_note(nick, texts.not_yet_to_verify(nick, talk))]
    fingerprint = info.their_fingerprint
    if typed:
        given = _fingerprint(typed)
        if given not in [session.their_fingerprint for session in talk.sessions]:
            return [
                _note(
                    nick,
                    f"WARNING: that is NOT the fingerprint of the key in this conversation ({fingerprint}). "
                    f"Somebody may be in between: say nothing secret, and ask {nick} by voice or in person.",
                )
            ]
        fingerprint = given
    if talk.memory.trust(fingerprint) is not Trust.NONE:
        return [_note(nick, f"The key of {nick} is {talk.memory.trust(fingerprint).value} already.")]
    changes = host.do(nick, lambda talk: talk.set_trust(Trust.COMPARED, fingerprint), sends=False)
    return [
        *changes,
        _note(
            nick,
            f"You have verified {nick}. {nick} has not thereby verified you.",
            "/otr distrust takes it back, if you have not compared the fingerprint with "
            f"{nick} by voice or in person.",
        ),
    ]


def _distrust(host: IrcHost, nick: str, typed: str) -> list[Action]:
    talk = host.talk(nick)
    info = talk.info if talk is not None else None
    trusted = host.trusted(nick)
    if typed:
        given = _fingerprint(typed)
        trusted = [fingerprint for fingerprint in trusted if fingerprint == given]
    elif info is not None:
        trusted = [fingerprint for fingerprint in trusted if fingerprint == info.their_fingerprint]
    if not trusted:
        return [_note(nick, f"No such key of {nick} is verified: there is nothing to take back.")]

    actions = [action for fingerprint in trusted for action in host.distrust(nick, fingerprint)]
    lines = [f"{nick} is not verified any more, key {fingerprint}." for fingerprint in trusted]
    return [*actions, _note(nick, *lines)]


def _fingerprint(typed: str) -> Fingerprint:
    try:
        return Fingerprint.parse(typed)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _policy(host: IrcHost, nick: str, typed: str) -> list[Action]:
    word = typed.lower()
    if word.split()[:1] == [NETWORK]:
        return _network_policy(host, nick, " ".join(word.split()[1:]))
    host.talk(nick)
    policy = host.policy(nick)
    if not word:
        versions = (
            f"{word} or no-{word} (OTR version {version} too, or not)" for word, version in ALLOWING.items()
        )
        choices = (*PRESETS, *versions)
        return [
            _note(
                nick,
                *texts.policy_lines(nick, policy),
                f"/otr policy and one of these words to change it: {', '.join(choices)}; "
                "/otr policy network and a word for everybody on the network.",
                *texts.policy_meanings(),
            )
        ]
    if word not in POLICY_WORDS:
        return [_note(nick, f"Nothing was changed: /otr policy takes one of {', '.join(POLICY_WORDS)}.")]
    wanted = changed(policy, word)
    if wanted is None:
        return [
            _note(nick, _no_version(policy, f"OTR is switched off for {nick}: /otr policy default first."))
        ]
    changes = host.do(nick, lambda talk: talk.set_policy(wanted), sends=False)
    return [*changes, _note(nick, *texts.policy_lines(nick, host.policy(nick)))]


def _network_policy(host: IrcHost, nick: str, word: str) -> list[Action]:
    host.catch_up()
    policy = host.network_policy
    if word and word not in POLICY_WORDS:
        words = ", ".join(POLICY_WORDS)
        return [_note(nick, f"Nothing was changed: /otr policy network takes one of {words}.")]
    wanted = changed(policy, word) if word else policy
    if wanted is None:
        off = "OTR is switched off on this network: /otr policy network default first."
        return [_note(nick, _no_version(policy, off))]
    actions = host.set_network_policy(wanted) if word else []
    everybody = f"everybody on {host.network} who has none of their own"
    return [*actions, _note(nick, *texts.policy_lines(everybody, host.network_policy))]


def _no_version(policy: Policy, off: str) -> str:
    """Say why nothing was changed: OTR is off already, or would be, which another word is for."""
    if not policy.versions:
        return off
    return "Nothing was changed, as no version would be left: /otr policy never switches OTR off."


def _send_held(host: IrcHost, nick: str, argument: str) -> list[Action]:
    talk = host.talk(nick)
    count = len(talk.held) if talk is not None else 0
    if talk is None or not count:
        return [_note(nick, f"No text to {nick} is held back: there is nothing to send.")]
    if talk.state is not MessageState.ENCRYPTED:
        return [
            _note(nick, f"There is no encrypted conversation with {nick}: /otr start first, or /otr drop.")
        ]
    sent = "1 text was" if count == 1 else f"{count} texts were"
    return [*host.do(nick, Conversation.send_held), _note(nick, f"{sent} sent to {nick}, encrypted.")]


def _drop_held(host: IrcHost, nick: str, argument: str) -> list[Action]:
    talk = host.talk(nick)
    held = talk.held if talk is not None else ()
    if not held:
        return [_note(nick, f"No text to {nick} is held back: there is nothing to forget.")]

    def drop(talk: Conversation) -> list[Event]:
        talk.drop_held()
        return []

    dropped = "This text is" if len(held) == 1 else f"These {len(held)} texts are"
    rows = [f"  {text}" for text in held]
    return [
        *host.do(nick, drop, sends=False),
        _note(nick, f"{dropped} forgotten, and not sent to {nick}:", *rows),
    ]


def _client(host: IrcHost, nick: str, typed: str) -> list[Action]:
    talk = host.talk(nick)
    if talk is None or talk.info is None:
        return [_note(nick, f"There is no encrypted conversation with {nick}: /otr start for one.")]
    tags = [session.their_instance_tag for session in talk.sessions]
    chosen = next((tag for tag in tags if f"{tag:08x}" == typed.lower()), None)
    if typed and chosen is None:
        return [_note(nick, f"{nick} has no such client: /otr status lists them.")]

    def choose(talk: Conversation) -> list[Event]:
        talk.choose(chosen)
        return []

    actions = host.do(nick, choose, sends=False)
    to = f"client {chosen:08x}" if chosen is not None else "the client that is best suited"
    return [*actions, _note(nick, f"What you type to {nick} goes to {to} of {nick}'s.")]


COMMANDS = (
    Command("start", "ask for an encrypted conversation", _plainly(IrcHost.start), ("init",)),
    Command("end", "end it, and go on without", _plainly(IrcHost.end), ("finish", "stop", "endprivate")),
    Command(
        "status",
        "tell how the conversation stands, with both fingerprints",
        _plainly(IrcHost.status),
        ("info", "fingerprint"),
    ),
    Command(
        "smp ask",
        "verify the other by a secret that only you two know; it is asked for then",
        _ask,
        ("authq", "smp start"),
        "[QUESTION?]",
    ),
    Command(
        "smp answer",
        "answer when the other verifies you",
        _plainly(IrcHost.answer),
        ("smp respond", "answer"),
        secret=True,
    ),
    Command(
        "smp abort", "end or refuse a verification", _plainly(IrcHost.abort), ("authabort", "smp cancel")
    ),
    Command(
        "auth",
        "smp answer if the other has asked, else smp ask",
        _ask_or_answer,
        ("verify", "smp"),
        secret=True,
    ),
    Command(
        "trust",
        "verified: you have compared the fingerprint, or paste it to have it compared",
        _trust,
        argument="[FINGERPRINT]",
    ),
    Command("distrust", "take that back", _distrust, argument="[FINGERPRINT]"),
    Command(
        "policy",
        "show, or change, what is done with this peer, or with all on the network",
        _policy,
        argument="[network] [WORD]",
        choices=(*POLICY_WORDS, *(f"{NETWORK} {word}" for word in POLICY_WORDS)),
    ),
    Command("send", "send texts that were held, as the key had changed", _send_held),
    Command("drop", "forget them", _drop_held),
    Command(
        "client",
        "choose which of several clients of the peer you write to",
        _client,
        argument="[NUMBER]",
    ),
    Command("refresh", "fresh keys for an encrypted conversation", _plainly(IrcHost.refresh), ("rekey",)),
    Command("help", "show these lines", aliases=("?",), anywhere=lambda host, nick, argument: []),
)

OTR = Table(COMMANDS)
"""What every host has."""
