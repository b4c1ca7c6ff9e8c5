"""Keys that other programs have made, and the command that takes them over."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ...errors import StoreError
from ...model import Fingerprint
from ...store.formats.programs import PROGRAMS, Found, Program, read
from ...wire.keys import fingerprint
from .findings import Finding, fine, note, quoted, why
from .places import hexchat_folders, irssi_folders, pidgin_folders, read_start, weechat_folders
from .store import known_fingerprints

MAX_FILES = 5000
"""Of one folder; weechat-otr makes two for each nick."""

MAX_READ = 100
"""Files of one folder that are looked into."""

MAX_BYTES = 256 * 1024
"""Of all of them; so many keys take half a second to check."""


def check(chosen: Path | None) -> Iterator[Finding]:
    """Find the folders of other programs with OTR keys; the command is for the data folder that is chosen."""
    known: frozenset[Fingerprint] | None = None
    seen: set[str] = set()
    for program, folder in _places():
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(folder) as entries:
                files = sorted(
                    entry.name for entry in islice(entries, MAX_FILES) if program.files.include(entry.name)
                )
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                yield note(f"{folder} was not looked at for OTR keys: {why(error)}")
            continue
        if files:
            known = known_fingerprints(chosen) if known is None else known
            yield from _told(program, folder, files, chosen, known)


def _places() -> Iterator[tuple[Program, Path]]:
    """Yield each program with a folder of its OTR files, whether that exists or not."""
    for name, folders in (
        ("irssi", irssi_folders()),
        ("hexchat", hexchat_folders()),
        ("weechat", weechat_folders()),
    ):
        for folder in folders:
            yield PROGRAMS[name], folder / "otr"
    for folder in pidgin_folders():
        yield PROGRAMS["pidgin"], folder


def _told(
    program: Program, folder: Path, files: list[str], chosen: Path | None, known: frozenset[Fingerprint]
) -> Iterator[Finding]:
    """Tell what is in the files of one folder, if it is for IRC."""
    what = f"{program.title} has OTR keys in {folder}"
    ours = f" --data-dir {quoted(chosen)}" if chosen is not None else ""
    taken_over = f"Run  otr keys{ours} import --from {program.name} {quoted(folder)}  to use them here too."
    try:
        data = {file: read_start(folder / file, MAX_BYTES) for file in files[:MAX_READ]}
        if len(files) > MAX_READ or sum(map(len, data.values())) >= MAX_BYTES:
            yield note(f"{what}, more than can be looked through here", taken_over)
            return
        found = read(program.name, data)
    except OSError as error:
        yield note(f"{what}, which cannot be read: {why(error)}")
        return
    except StoreError as error:
        broken, _, mend = str(error).rpartition(": ")
        yield note(f"{what}, which cannot be used here: {broken}", mend[:1].upper() + mend[1:])
        return
    fingerprints = _fingerprints(found)
    if fingerprints and fingerprints <= known:
        yield fine(f"{what}, and all of them are here too")
    elif fingerprints:
        yield note(f"{what}: {_counted(found)}", taken_over)


def _fingerprints(found: Found) -> set[Fingerprint]:
    own = {fingerprint(key.key.public) for key in found.keys}
    return own | {contact.fingerprint for contact in found.contacts}


def _counted(found: Found) -> str:
    return f"{len(found.keys)} of your own, {len(found.contacts)} of others"
