"""`otr tool`: OTR messages taken apart, read, changed and forged, as by libotr's toolkit.

Modules are imported by the command that needs them, so that help comes at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .output import say, show_json, warn
from .process import JsonOutput, examples, new_group
from .tool_input import STANDARD_INPUT, Given, plain

if TYPE_CHECKING:
    from ..crypto.secret import Secret
    from ..toolkit.search import Damaged, Found
    from ..wire.header import Header
    from ..wire.messages3 import DataMessage

MAX_FOUND = 100_000
"""Messages that are taken from one text, which no text of real ones within the limit of bytes holds."""

AES_KEY_BYTES = 16
MAC_KEY_BYTES = 20
COUNTER_BYTES = 8
MAX_BYTE = 2**8 - 1
MAX_INT = 2**32 - 1
MAX_COUNTER = 2**64 - 1

app = new_group()


@app.callback(no_args_is_help=True)
def about() -> None:
    """Take OTR messages apart, read them, change them and forge them.

    Anybody can do that afterwards to every conversation, so that none proves what somebody said.
    Of version 4, "otr tool parse" shows the messages; everything else here is for versions 2 and 3.

    Every value in hex can also be given as @FILE, which holds it, or as -, for the next line of standard
    input. Give private and AES keys like that: other users can see what stands on a command line.
    """


AesKey = Annotated[str, typer.Argument(metavar="AESKEY", help="32 hex digits, @FILE or -.")]
MacKey = Annotated[str, typer.Argument(metavar="MACKEY", help="40 hex digits, @FILE or -.")]
Messages = Annotated[
    str, typer.Option("--messages", metavar="FILE", help="Look for messages here, not in standard input.")
]
Line = Annotated[
    int | None, typer.Option("--line", min=1, help="Take only the message that begins in this line.")
]
Version = Annotated[int, typer.Option("--version", min=2, max=3, help="OTR version.")]


@app.command(epilog=examples("otr tool parse chat.log", "otr tool parse --mac-keys --json < chat.log"))
def parse(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Texts; without any, standard input.")
    ] = None,
    mac_keys: Annotated[
        bool,
        typer.Option(
            "--mac-keys",
            help="Show with which of the published MAC keys a message of version 2 or 3 was made.",
        ),
    ] = False,
    as_json: JsonOutput = False,
) -> None:
    """Show the fields of the OTR messages in a text.

    Any text will do, such as the log of a chat. Fragments are put together; nothing is decrypted.
    """
    from ..toolkit.describe import Field, describe
    from ..toolkit.revealed import makers
    from ..toolkit.search import Damaged
    from ..wire.messages3 import DataMessage

    given = Given()
    names = files or [STANDARD_INPUT]
    results = [(name, result) for name in names for result in _search(given.text(name))]
    contents = [result if isinstance(result, Damaged) else result.content for _, result in results]
    data = [content for content in contents if isinstance(content, DataMessage)]
    keys = iter(makers(data) if mac_keys else [None] * len(data))
    documents = []
    for (name, result), content in zip(results, contents, strict=True):
        description = describe(content)
        if isinstance(content, DataMessage) and (key := next(keys)):
            description = description.extended(Field("Made with MAC key", key.hex()))
        documents.append({"file": name, "line": result.line, **description.json()})
        if not as_json:
            say(*description.lines())
    if as_json:
        show_json(documents)
    if not results:
        raise UsageError("There is no OTR message in that: give the log of a chat as it was sent.")
    if broken := sum(isinstance(content, Damaged) for content in contents):
        raise UsageError(
            f"{broken} of {len(results)} OTR messages could not be read: look whether they are whole."
        )


@app.command(epilog=examples("otr tool sesskeys @bob.private @alice.public"))
def sesskeys(
    our_private: Annotated[
        str, typer.Argument(metavar="PRIVATE", help="Our private D-H key: hex digits, @FILE or -.")
    ],
    their_public: Annotated[
        str, typer.Argument(metavar="PUBLIC", help="Their public D-H key: hex digits, @FILE or -.")
    ],
    as_json: JsonOutput = False,
) -> None:
    """Show the keys that follow from two D-H keys.

    A data message is made with its sender's D-H key of the number "Sender keyid" and its recipient's of the
    number "Rcpt keyid". "DH y" is its sender's next one.
    """
    from ..toolkit.describe import digits
    from ..toolkit.keys import session_keys

    given = Given()
    private = given.secret("PRIVATE", our_private)
    keys = session_keys(private, int.from_bytes(given.hex("PUBLIC", their_public), "big"))
    public = digits(keys.our_public).hex()
    if as_json:
        show_json(
            {
                "high_end": keys.we_are_high,
                "our_public_key": public,
                "session_id": keys.session_id.hex(),
                "sending": {"aes_key": keys.sending.aes.hex(), "mac_key": keys.sending.mac.hex()},
                "receiving": {"aes_key": keys.receiving.aes.hex(), "mac_key": keys.receiving.mac.hex()},
                "extra_key": keys.extra.hex(),
            }
        )
        return
    say(
        f"We are the {'high' if keys.we_are_high else 'low'} end of this key exchange.",
        "",
        f"Our public key: {public}",
        "",
        f"Session id: {keys.session_id.hex()}",
        "",
        f"Sending   AES key: {keys.sending.aes.hex()}",
        f"Sending   MAC key: {keys.sending.mac.hex()}",
        f"Receiving AES key: {keys.receiving.aes.hex()}",
        f"Receiving MAC key: {keys.receiving.mac.hex()}",
        "",
        f"Extra symmetric key: {keys.extra.hex()}",
    )


@app.command(epilog=examples("otr tool mackey @aes.key"))
def mackey(aes_key: AesKey, as_json: JsonOutput = False) -> None:
    """Show the MAC key that belongs to an AES key.

    So whoever can read a message can also forge it.
    """
    from ..toolkit.keys import mac_key

    aes = Given().secret("AESKEY", aes_key, AES_KEY_BYTES)
    mac = mac_key(aes)
    if as_json:
        show_json({"aes_key": aes.hex(), "mac_key": mac.hex()})
    else:
        say(f"AES key: {aes.hex()}", f"MAC key: {mac.hex()}")


@app.command(
    epilog=examples(
        "otr tool readforge @aes.key < chat.log",
        'otr tool readforge @aes.key "I never said that." < chat.log',
    )
)
def readforge(
    aes_key: AesKey,
    new_text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Forge a message that says this.")
    ] = None,
    messages: Messages = STANDARD_INPUT,
    line: Line = None,
    as_json: JsonOutput = False,
) -> None:
    """Read messages with their AES key, or forge one.

    All data messages that the key opens are shown. A forgery takes everything else from the first of them, or
    from the first data message if there is none.
    """
    from ..toolkit.forgery import forge, model, opens

    given = Given()
    key = given.secret("AESKEY", aes_key, AES_KEY_BYTES)
    found = _data_messages(given, messages, line)
    if new_text is None:
        _show_texts(key, found, as_json)
        return
    original = model(key, [message for _, message in found])
    if not opens(key, original):
        warn("The key opens none of the messages, so the forgery is modelled on the first.")
    _show_message(forge(key, original, plain(new_text)), as_json)


@app.command(epilog=examples('otr tool modify MACKEY "100 euros" "900 euros" 12 < chat.log'))
def modify(
    mac_key: MacKey,
    old_text: Annotated[str, typer.Argument(metavar="OLD", help="What you guess was written.")],
    new_text: Annotated[str, typer.Argument(metavar="NEW", help="What is to stand there, of as many bytes.")],
    offset: Annotated[int, typer.Argument(metavar="OFFSET", min=0, help="Bytes in front of it.")],
    messages: Messages = STANDARD_INPUT,
    line: Line = None,
    as_json: JsonOutput = False,
) -> None:
    """Change a message that you cannot read.

    You have to guess a part of it. The first data message with a MAC of this key is taken; "otr tool parse
    --mac-keys" finds the keys.
    """
    from ..toolkit import rewriting

    given = Given()
    key = given.secret("MACKEY", mac_key, MAC_KEY_BYTES)
    found = (message for _, message in _data_messages(given, messages, line))
    _show_message(rewriting.modify(key, found, plain(old_text), plain(new_text), offset), as_json)


@app.command(
    epilog=examples('otr tool remac MACKEY 256 512 0 1 1 @next.public 0000000000000001 5ec2e7 ""'),
)
def remac(
    mac_key: MacKey,
    sender_instance: Annotated[
        int, typer.Argument(metavar="SND_INSTANCE", min=0, max=MAX_INT, help="0 in version 2.")
    ],
    receiver_instance: Annotated[
        int, typer.Argument(metavar="RCP_INSTANCE", min=0, max=MAX_INT, help="0 in version 2.")
    ],
    flags: Annotated[int, typer.Argument(metavar="FLAGS", min=0, max=MAX_BYTE)],
    sender_keyid: Annotated[int, typer.Argument(metavar="SND_KEYID", min=0, max=MAX_INT)],
    recipient_keyid: Annotated[int, typer.Argument(metavar="RCP_KEYID", min=0, max=MAX_INT)],
    next_key: Annotated[str, typer.Argument(metavar="PUBKEY", help='The "DH y", in hex.')],
    counter: Annotated[str, typer.Argument(metavar="COUNTER", help="16 hex digits.")],
    encrypted: Annotated[str, typer.Argument(metavar="ENCDATA", help="The encrypted text, in hex.")],
    revealed: Annotated[
        str, typer.Argument(metavar="REVEALED", help='MAC keys that it publishes, in hex, or "".')
    ],
    version: Version = 3,
    as_json: JsonOutput = False,
) -> None:
    """Make a data message of pieces, with its MAC."""
    from ..toolkit import rewriting
    from ..wire.messages3 import DataMessage

    given = Given()
    key = given.secret("MACKEY", mac_key, MAC_KEY_BYTES)
    message = DataMessage(
        _header(version, sender_instance, receiver_instance),
        flags,
        sender_keyid,
        recipient_keyid,
        next_dh=int.from_bytes(given.hex("PUBKEY", next_key), "big"),
        counter=int.from_bytes(given.hex("COUNTER", counter, COUNTER_BYTES), "big"),
        encrypted=given.hex("ENCDATA", encrypted),
        old_mac_keys=_mac_keys(given, "REVEALED", revealed),
    )
    _show_message(rewriting.remac(key, message), as_json)


@app.command(
    epilog=examples('otr tool forge @aes.key "Of course." --sender-instance 256 --receiver-instance 512')
)
def forge(
    aes_key: AesKey,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What somebody is to have said.")],
    version: Version = 3,
    sender_instance: Annotated[int, typer.Option("--sender-instance", min=0, max=MAX_INT)] = 0,
    receiver_instance: Annotated[int, typer.Option("--receiver-instance", min=0, max=MAX_INT)] = 0,
    flags: Annotated[int, typer.Option("--flags", min=0, max=MAX_BYTE)] = 0,
    sender_keyid: Annotated[int, typer.Option("--sender-keyid", min=0, max=MAX_INT)] = 1,
    recipient_keyid: Annotated[int, typer.Option("--rcpt-keyid", min=0, max=MAX_INT)] = 1,
    next_key: Annotated[
        str | None,
        typer.Option("--next-key", metavar="HEX", help="The sender's next public key; else a new one."),
    ] = None,
    counter: Annotated[int, typer.Option("--counter", min=0, max=MAX_COUNTER)] = 1,
    revealed: Annotated[
        str, typer.Option("--reveal", metavar="HEX", help="MAC keys that it publishes.")
    ] = "",
    as_json: JsonOutput = False,
) -> None:
    """Forge a data message from its AES key alone.

    "otr tool sesskeys" shows the key. No message is needed to begin with.
    """
    from ..crypto.random import system_random
    from ..toolkit import forgery
    from ..toolkit.keys import fresh_public
    from ..wire.messages3 import DataMessage

    given = Given()
    key = given.secret("AESKEY", aes_key, AES_KEY_BYTES)
    if next_key is None:
        next_dh = fresh_public(system_random)
    else:
        next_dh = int.from_bytes(given.hex("--next-key", next_key), "big")
    message = DataMessage(
        _header(version, sender_instance, receiver_instance),
        flags,
        sender_keyid,
        recipient_keyid,
        next_dh,
        counter,
        encrypted=b"",
        old_mac_keys=_mac_keys(given, "--reveal", revealed),
    )
    _show_message(forgery.forge(key, message, plain(text)), as_json)


def _search(text: str) -> list[Found | Damaged]:
    from ..toolkit.search import search

    found = list(islice(search(text), MAX_FOUND + 1))
    if len(found) > MAX_FOUND:
        raise UsageError(f"There are more than {MAX_FOUND} OTR messages in that: give a part of it.")
    return found


def _data_messages(given: Given, source: str, line: int | None) -> list[tuple[int, DataMessage]]:
    """Return the data messages of a text with their lines, or that of one line; at least one."""
    from ..toolkit.search import Damaged
    from ..wire.messages3 import DataMessage

    results = [result for result in _search(given.text(source)) if line in (None, result.line)]
    if broken := sum(isinstance(result, Damaged) for result in results):
        warn(f"{broken} of {len(results)} OTR messages could not be read, and were left out.")
    messages = [
        (result.line, result.content)
        for result in results
        if not isinstance(result, Damaged) and isinstance(result.content, DataMessage)
    ]
    if not messages:
        where = "that" if line is None else f"line {line}"
        raise UsageError(
            f"There is no OTR data message in {where}, of version 2 or 3: "
            "look with otr tool parse what there is."
        )
    return messages


def _show_texts(aes_key: Secret, messages: Iterable[tuple[int, DataMessage]], as_json: bool) -> None:
    from ..toolkit.escape import escape
    from ..toolkit.forgery import read

    opened = [(line, plaintext) for line, message in messages if (plaintext := read(aes_key, message))]
    if as_json:
        show_json(
            [
                {
                    "line": line,
                    "text": plaintext.text.decode(errors="replace"),
                    "text_hex": plaintext.text.hex(),
                    "tlvs": [{"type": record.type, "value": record.value.hex()} for record in plaintext.tlvs],
                }
                for line, plaintext in opened
            ]
        )
    else:
        for _, plaintext in opened:
            say(f"Plaintext: ``{escape(plaintext.text)}''")
            say(*(f"TLV {record.type}: {record.value.hex()}" for record in plaintext.tlvs))
    if not opened:
        raise UsageError("No data message has a MAC that follows from this key: try another key.")


def _show_message(message: DataMessage, as_json: bool) -> None:
    from ..wire.text import encode

    line = encode(message.serialise())
    if as_json:
        show_json({"message": line})
    else:
        say(line)


def _mac_keys(given: Given, name: str, argument: str) -> bytes:
    keys = given.hex(name, argument)
    if len(keys) % MAC_KEY_BYTES:
        raise typer.BadParameter(f"each MAC key has {2 * MAC_KEY_BYTES} hex digits", param_hint=name)
    return keys


def _header(version: int, sender_instance: int, receiver_instance: int) -> Header:
    from ..wire.header import VERSION_2, Header, MessageType

    if version == VERSION_2 and (sender_instance or receiver_instance):
        raise typer.BadParameter("version 2 knows no instances: both have to be 0")
    return Header(version, MessageType.DATA, sender_instance, receiver_instance)
