"""The disk under a folder: what kind it is, whether it can be written, how much room is left."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from .findings import Finding, note, problem, quoted
from .places import start_of

LEAST_BYTES = 1024 * 1024
"""What the database may need for one change, its journal included."""

LOW_BYTES = 50 * 1024 * 1024

_NETWORK = re.compile(
    r"(?:fuse\.)?(?:nfs4?|cifs|smb3|smbfs|smb2|9p|afs|coda|ceph|cephfs|lustre|gfs2|ocfs2|beegfs|davfs2?"
    r"|glusterfs|sshfs|s3fs|rclone|virtiofs)"
)
_IN_MEMORY = {"tmpfs", "ramfs"}
_OCTAL = re.compile(r"\\([0-7]{3})")

ELSEWHERE = "Name a data folder on another disk with --data-dir FOLDER."


def check(folder: Path) -> Iterator[Finding]:
    """Tell what is remarkable about the disk of a folder that is there."""
    kind = _kind_of(folder)
    if kind is not None and _NETWORK.fullmatch(kind):
        yield note(
            f"The data folder is on a network disk ({kind}), where two programs may not see each other's "
            "changes in time",
            ELSEWHERE,
        )
    elif kind in _IN_MEMORY:
        yield note(
            f"The data folder is in memory only ({kind}): keys in it are lost at the next start", ELSEWHERE
        )
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if read_only(folder):
        yield problem("The data folder is on a disk that can only be read", ELSEWHERE)
    elif free < LEAST_BYTES or (room.f_files and not room.f_favail):
        yield problem(
            "The disk of the data folder is full",
            f"Run  df -h {quoted(folder)}  to see which disk it is, and delete something there.",
        )
    elif free < LOW_BYTES:
        yield note(f"The disk of the data folder has only {free // 2**20} MB left")


def read_only(folder: Path) -> bool:
    """Whether nothing can be written to the disk of a folder, whatever the rights."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _kind_of(folder: Path) -> str | None:
    """Return what the system calls the kind of disk that a folder is on, if it tells."""
    table = start_of(Path("/proc/self/mountinfo"), 1024 * 1024)
    return kind_in(os.fsdecode(table), Path(os.path.realpath(folder)))


def kind_in(table: str, folder: Path) -> str | None:
    """Return the kind of the disk that a folder is on by Linux's table of mounts (proc(5), mountinfo)."""
    best, kind = -1, None
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 5 or "-" not in fields[5:]:
            continue
        mounted = Path(_OCTAL.sub(lambda escape: chr(int(escape[1], 8)), fields[4]))
        described = fields[fields.index("-", 5) + 1 :]
        # Of two at one place, the later one lies on top.
        if described and folder.is_relative_to(mounted) and len(mounted.parts) >= best:
            best, kind = len(mounted.parts), described[0]
    return kind
