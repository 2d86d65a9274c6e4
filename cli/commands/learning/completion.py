"""completion."""

from __future__ import annotations

import click

from cli.drawing import render


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Write the script by which SHELL completes commands, options, components, topics and paths.

    \b
    Examples:
      casstore completion bash > ~/.local/share/bash-completion/completions/casstore
      casstore completion zsh > ~/.zfunc/_casstore     # a folder of $fpath
      casstore completion fish > ~/.config/fish/completions/casstore.fish
    Exit status: 0 written, 2 no such shell.
    """
    from cli.pages.completion import script

    render.raw(script(shell).encode())
    render.flush()


COMMANDS = {"completion": completion}
