"""config check."""

from __future__ import annotations

import os

import click

from cli.commands.params import json_option, pass_session
from cli.drawing import render
from cli.session import Session, read_file


@click.group()
def config() -> None:
    """Check casstore.toml."""


@config.command()
@click.argument("file", required=False)
@json_option
@pass_session
def check(session: Session, file: str | None, as_json: bool) -> None:
    """Name every mistake of casstore.toml (or FILE) at once: file, line, key, what, and what to do.

    Also what only a release would meet: the settings of gates and of [isolation], and components
    that two products carry. Nothing is opened or run; whether the store is well, `casstore doctor` says.

    \b
    Examples:
      casstore config check
      casstore config check other.toml --json
    Exit status: 0 right, 2 there are mistakes, or there is no such file.
    """
    from bundlers.releases.configuration import every_mistake

    path = file or session.config_path or _nearest()
    found = every_mistake(read_file(path), path)
    if as_json:
        render.json_object({"file": path, "mistakes": [mistake.to_json() for mistake in found]})
    elif not found:
        render.line(f"{path}: right")
    else:
        for mistake in found:
            render.line(mistake.told + (f" ({mistake.hint})" if mistake.hint else ""))
        render.say(f"{len(found)} mistake{'s' if len(found) > 1 else ''}")
    if found:
        raise click.exceptions.Exit(2)


def _nearest() -> str:
    from casstore import config as configs

    return configs.find_config(os.getcwd()) or configs.load(None, os.getcwd()).path


COMMANDS = {"config": config}
