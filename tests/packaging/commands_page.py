"""docs/commands.md, made of the tables of commands: `python tests/packaging/commands_page.py` writes it.

The test beside this says when the page is behind the program.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union, cast, get_args, get_origin

import typer
from otrbot.cli import app as bot
from typer.models import ArgumentInfo, OptionInfo
from typer.utils import get_params_from_function

from otrcore.cli.chat import HELP
from otrcore.cli.main import app
from otrcore.engine.commands import OFF, ON, Commands, Desk
from otrcore.engine.options import DEFAULT, Option, Options
from otrcore.errors import StoreError
from otrcore.irc.commands import COMMANDS, Command
from otrcore.irc.texts import policy_meanings
from otrcore.policy import POLICY_WORDS, PRESETS
from otrcore.store.store import Store

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "commands.md"

_COMMON = ("--data-dir", "--json")
"""Options that many commands have, and that are explained once."""

_INTRODUCTION = """\
# Commands

What can be typed, all of it. `make docs` writes this page anew from the program's own tables, so it is never
behind them. What to type first is in the pages for [WeeChat](../weechat_script/README.md) and
[HexChat](../hexchat_script/README.md).

- [In the chat: `/otr`](#in-the-chat)
- [In a terminal: `otr`](#in-a-terminal)
- [The echo bot: `otr-bot`](#the-echo-bot)

In what follows, `[...]` need not be typed, and of words with `|` between them one is meant.

## In the chat

In a private conversation, type `/otr` and one of these commands. Elsewhere in WeeChat and HexChat, name the
person behind the command: `/otr start NICK`, or `/otr start NICK SERVER` where you are on several servers.
Tab completes commands. A secret is never typed behind a command: it is asked for unseen.
"""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument or option of a command line."""

    name: str
    typed: str
    about: str
    is_option: bool
    required: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A command of a command line."""

    words: str
    about: str
    epilog: str
    parameters: tuple[Parameter, ...]
    is_group: bool = False

    @property
    def usage(self) -> str:
        """How it is written, without options."""
        own = (one for one in self.parameters if not one.is_option)
        arguments = (one.typed if one.required else f"[{one.typed}]" for one in own)
        return " ".join([self.words, *arguments])


def command_lines() -> list[Line]:
    """Return all commands of `otr` and `otr-bot`, each behind that which it belongs to."""
    return [*_lines(app, "otr"), *_lines(bot, "otr-bot")]


def chat_commands() -> list[Command]:
    """Return all commands behind `/otr`, of any program."""
    return [*_of_clients(), *_of_hexchat()]


def page() -> str:
    """Return the page."""
    everywhere = {command.name for command in COMMANDS}
    lines = command_lines()
    own = [line for line in lines if line.words.split()[0] == "otr"]
    parts = [
        _INTRODUCTION,
        "### Everywhere\n",
        *_chat_table(command for command in _of_clients() if command.name in everywhere),
        "\n### In WeeChat and HexChat as well\n",
        *_chat_table(command for command in _of_clients() if command.name not in everywhere),
        "\n### In HexChat as well\n",
        *_chat_table(_of_hexchat()),
        "\n### Policies\n",
        "What `/otr policy`, `otr contacts policy` and `otr networks policy` take:\n",
        *_table(("word", "what it means"), (_code_first(line.split(None, 1)) for line in policy_meanings())),
        "",
        _wrapped(
            f"Also {', '.join(_code(word) for word in POLICY_WORDS if word not in PRESETS)}: whether a "
            "version of OTR may be spoken. Behind `/otr policy network`, any of these words is for "
            "everybody on the network who has no policy of their own. In the two commands of the terminal, "
            "`usual` takes a policy back."
        ),
        "\n### Settings in WeeChat\n",
        "`/set otrcore.*` shows them; `otrcore.policy.default`, `otrcore.policy.SERVER` and "
        "`otrcore.policy.SERVER.NICK` can be made, too, and take the words above.\n",
        *_table(
            ("setting", "at first", "what it is"),
            (
                (_code(f"otrcore.{name}"), _code(value), about)
                for name, (value, about) in weechat_settings().items()
            ),
        ),
        "\n### Settings in HexChat\n",
        "`/otr set` shows them, `/otr set NAME VALUE` changes one, and "
        f"`/otr set NAME {DEFAULT}` puts it back.\n",
        *_table(
            ("setting", "at first", "what it is"),
            ((_code(one.name), _code(one.default), one.about) for one in hexchat_settings()),
        ),
        "\n### In `otr chat`\n",
        *(f"- {line.removeprefix('-- ')}" for line in HELP),
        "\n## In a terminal\n",
        "Every command explains itself with `--help`. Many take these options, which are named below as they "
        "are taken:\n",
        *_table(("option", "what it does"), _common(own)),
        "\nExit codes: 0 done, 1 refused or failed, with the reason, 2 not understood. "
        "`otr --install-completion` has bash, zsh and fish complete commands, networks and nicks. "
        "`otr --version` tells which one this is.\n",
        *_chapter(own),
        "## The echo bot\n",
        "[Its own page](../bot/README.md) tells how to run it, and what people can say to it.\n",
        *_chapter([line for line in lines if line not in own]),
    ]
    return "\n".join(parts).rstrip() + "\n"


def weechat_settings() -> dict[str, tuple[str, str]]:
    """Return the options of the script for WeeChat: by name, value and description."""
    value = ast.literal_eval(_assigned(ROOT / "weechat_script" / "screen.py", "OPTIONS"))
    return cast("dict[str, tuple[str, str]]", value)


def hexchat_settings() -> list[Option]:
    """Return what `/otr set` has in HexChat."""
    found = _assigned(ROOT / "hexchat_script" / "screen.py", "SETTABLE")
    assert isinstance(found, ast.Tuple)
    options = []
    for call in found.elts:
        assert isinstance(call, ast.Call)
        name, default, about, *choices = map(_literal, call.args)
        options.append(Option(name, default, about, choices[0] if choices else ()))
    return options


def _literal(value: ast.expr) -> Any:
    """Return a value in which the names ON and OFF may stand."""
    if isinstance(value, ast.Tuple):
        return tuple(map(_literal, value.elts))
    if isinstance(value, ast.Name):
        return {"ON": ON, "OFF": OFF}[value.id]
    return ast.literal_eval(value)


def _assigned(path: Path, name: str) -> ast.expr:
    """Return what is assigned to a name in a file that only a chat client can import."""
    for statement in ast.parse(path.read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in statement.targets
        ):
            return statement.value
    raise LookupError(f"{path} has no {name}")


def _of_clients() -> tuple[Command, ...]:
    return Commands(Desk(lambda: None)).table.commands


def _of_hexchat() -> tuple[Command, ...]:
    def no_store() -> Store:
        raise StoreError("There is none: these are the options as they are at first.")

    options = Options(no_store, lambda frames: None, lambda: 0.0)
    options.declare("hexchat", hexchat_settings())
    return options.commands()


def _chat_table(commands: Iterable[Command]) -> list[str]:
    rows = ((_code(one.usage), one.about, ", ".join(_code(name) for name in one.aliases)) for one in commands)
    return _table(("command", "what it does", "also known as"), rows)


def _common(lines: Sequence[Line]) -> Iterator[tuple[str, str]]:
    for name in _COMMON:
        found = next(one for line in lines for one in line.parameters if one.name == name)
        yield _code(found.typed), found.about


def _chapter(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        yield f"### `{line.usage}`\n"
        yield _paragraphs(line.about) + "\n"
        own = [one for one in line.parameters if one.name not in _COMMON]
        if own:
            yield from _table(("", "what it is"), ((_code(one.typed), one.about) for one in own))
            yield ""
        common = [_code(one.typed) for one in line.parameters if one.name in _COMMON]
        if common:
            yield f"Takes {' and '.join(common)} as well.\n"
        for block in filter(None, map(str.strip, line.epilog.split("\b\n"))):
            title, _, rest = block.partition("\n")
            if not title.endswith(":"):
                title, rest = "The words:", f"  {block}"
            yield f"{title}\n\n```\n{textwrap.dedent(rest)}\n```\n"


def _paragraphs(text: str) -> str:
    return "\n\n".join(map(_wrapped, inspect.cleandoc(text).split("\n\n")))


def _wrapped(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 110, break_long_words=False, break_on_hyphens=False)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [list(heads), ["---"] * len(heads), *([*row] for row in rows)]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in cells]


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _code_first(words: Sequence[str]) -> tuple[str, str]:
    return _code(words[0]), words[1]


def _lines(program: typer.Typer, words: str) -> Iterator[Line]:
    """Yield the commands of a program, those of its groups behind each group."""
    for command in program.registered_commands:
        callback = command.callback
        assert callback is not None
        name = command.name or callback.__name__.replace("_", "-")
        yield _line(f"{words} {name}", callback, command.help, command.epilog)
    for group in program.registered_groups:
        inner, name = group.typer_instance, f"{words} {group.name}"
        assert inner is not None
        info = inner.registered_callback
        assert info is not None
        assert info.callback is not None
        alone = info.invoke_without_command is True
        line = _line(name, info.callback, _given(info.help), _given(info.epilog), is_group=True)
        if alone or line.parameters:
            yield line
        yield from _lines(inner, name)


def _given(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _line(
    words: str, callback: Callable[..., Any], about: str | None, epilog: str | None, *, is_group: bool = False
) -> Line:
    parameters = [
        _parameter(meta.name, meta.annotation, meta.default)
        for meta in get_params_from_function(callback).values()
        if isinstance(meta.default, OptionInfo | ArgumentInfo) and not meta.default.hidden
    ]
    own = tuple(sorted(parameters, key=lambda one: (one.is_option, one.name in _COMMON)))
    return Line(words, about or inspect.getdoc(callback) or "", epilog or "", own, is_group)


def _parameter(name: str, kind: Any, info: OptionInfo | ArgumentInfo) -> Parameter:
    kinds = [one for one in get_args(kind) if one is not types.NoneType] if _is_union(kind) else [kind]
    words = _words(kinds[0])
    value = info.metavar or words
    listed = kinds[0] is list or get_origin(kinds[0]) is list
    about = (info.help or "").rstrip()
    if words and info.metavar:
        about += f" {words}"
    if not isinstance(info, OptionInfo):
        typed = f"{value or name.upper()}{'...' if listed else ''}"
        return Parameter(name, typed, about, False, info.default is ...)
    declared = str((info.param_decls or ("--" + name.replace("_", "-"),))[0])
    if kinds[0] is not bool:
        declared = f"{declared} {value or name.upper()}"
    return Parameter(declared.split()[0].split("/")[0], declared.replace("/", " | "), about, True)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _words(kind: Any) -> str:
    """Return the words of which one is to be typed, if there are such."""
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "|".join(str(one.value) for one in kind)
    return ""


def headings(text: str) -> set[str]:
    """Return the anchors of a page, as GitHub makes them."""
    found: set[str] = set()
    body = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", body, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-")
        number, name = 0, anchor
        while name in found:
            number += 1
            name = f"{anchor}-{number}"
        found.add(name)
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
