"""What may be in the way of the script, in the same way for every client."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.cli.installing.users import Somebody

Obstacle = Callable[[Somebody], str]
"""Puts it there, and returns what is said of it."""


def foreign_script(user: Somebody) -> str:
    user.put(user.script, f"import {user.client}\n")
    return "is no script of otrcore's"


def empty_script(user: Somebody) -> str:
    user.put(user.script)
    return "is no script of otrcore's"


def folder_as_script(user: Somebody) -> str:
    user.script.mkdir(parents=True)
    return "is not a file"


def pipe_as_script(user: Somebody) -> str:
    user.scripts.mkdir(parents=True)
    os.mkfifo(user.script)
    return "is not a file"


def link_as_script(user: Somebody) -> str:
    user.install()
    user.script.rename(user.home / "elsewhere.py")
    user.script.symlink_to(user.home / "elsewhere.py")
    return "is a link"


def dangling_script(user: Somebody) -> str:
    user.scripts.mkdir(parents=True)
    user.script.symlink_to("nowhere.py")
    return "is a link"


def clients_folder_to_nowhere(user: Somebody) -> str:
    folder = user.scripts.parent
    folder.parent.mkdir(parents=True)
    folder.symlink_to("nowhere")
    return "is a link to nowhere"


def clients_folder_to_itself(user: Somebody) -> str:
    folder = user.scripts.parent
    folder.parent.mkdir(parents=True)
    folder.symlink_to(folder.name)
    return f"{folder.name} cannot be used"


def scripts_to_nowhere(user: Somebody) -> str:
    user.scripts.parent.mkdir(parents=True)
    user.scripts.symlink_to("nowhere")
    return "is a link to nowhere"


def file_as_clients_folder(user: Somebody) -> str:
    user.put(user.scripts.parent)
    return "is not a folder"


def file_above(user: Somebody) -> str:
    user.put(user.scripts.parent.parent)
    return "is not a folder"


def file_as_scripts(user: Somebody) -> str:
    user.put(user.scripts)
    return "is not a folder"


OBSTACLES: list[Obstacle] = [
    foreign_script,
    empty_script,
    folder_as_script,
    pipe_as_script,
    link_as_script,
    dangling_script,
    clients_folder_to_nowhere,
    clients_folder_to_itself,
    scripts_to_nowhere,
    file_as_clients_folder,
    file_above,
    file_as_scripts,
]
