"""The starter: a first casstore.toml that `init` offers where there is none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cli.drawing import render
from cli.session import Session, write_new

if TYPE_CHECKING:
    from casstore.config import Config


def offer(session: Session, *, yes: bool) -> str | None:
    """Write the starter if it is wanted; returns its path. None where there is a casstore.toml, or none is wanted."""
    if session.optional_config is not None:
        return None
    path, text = _path(), _text(session)
    if not yes and not (render.interactive() and _agreed(path, text)):
        return None
    write_new(path, text.encode())
    render.say(f"wrote {path}")
    return path


def offered(session: Session) -> Config:
    """The starter as configuration, though nobody wrote it."""
    from casstore import config

    return config.parse(_text(session).encode(), _path())


def _path() -> str:
    from casstore.machine.config_files import NAME

    return os.path.join(os.getcwd(), NAME)


def _text(session: Session) -> str:
    from casstore.config.starter import starter

    return starter(os.getcwd(), store_url=session.named_store or "./store")


def _agreed(path: str, text: str) -> bool:
    render.say("no casstore.toml is here or above; this one fits what lies here:")
    for line in ("", *text.split("\n")):
        render.say(line)
    return render.ask(f"write it to {path}?")
