"""help."""

from __future__ import annotations

import click

from cli.commands.params import json_option, topic_names
from cli.drawing import render


@click.command(name="help")
@click.argument("words", nargs=-1, metavar="[TOPIC]", shell_complete=topic_names)
@json_option
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...], as_json: bool) -> None:
    """Show a guide, a format or a table by its TOPIC; without one, list them all.

    The pages are those of this very version. The name of a command shows that command's help,
    where no page has that name.

    \b
    Examples:
      casstore help
      casstore help tutorial
      casstore help config
      casstore help keys ceremony
    Exit status: 0 shown, 2 there is no such topic.
    """
    from cli.pages import topics

    if not words:
        _list(as_json)
        return
    name, is_topic = " ".join(words), " ".join(words) in topics.topics()
    command = _command(ctx.find_root().command, words)
    text = topics.text_of(name) if is_topic or command is None else command
    if as_json:
        render.json_object({"topic": name, "text": text})
        return
    if text == command:
        render.lines(text)
        return
    render.page(text)
    if command is not None:
        render.say(f"the command: casstore {name} --help")


def _list(as_json: bool) -> None:
    from cli.pages.topics import topics

    known = topics().values()
    if as_json:
        render.json_object({"topics": [topic.to_json() for topic in known]})
        return
    render.table(("TOPIC", "KIND", "TITLE"), [(topic.name, topic.kind, topic.title) for topic in known])
    render.say("casstore help TOPIC shows one; casstore --help lists the commands")


def _command(command: click.Command, words: tuple[str, ...]) -> str | None:
    """The help of a command that these words name, or None."""
    ctx = click.Context(command, info_name="casstore", **command.context_settings)
    for word in words:
        found = command.get_command(ctx, word) if isinstance(command, click.Group) else None
        if found is None:
            return None
        command = found
        ctx = click.Context(command, info_name=word, parent=ctx)
    return command.get_help(ctx)


COMMANDS = {"help": help_}
