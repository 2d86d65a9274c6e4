"""demo."""

from __future__ import annotations

import os

import click


@click.command()
@click.option(
    "--into", default="casstore-demo", show_default=True, metavar="FOLDER", help="Each run gets a new folder in it."
)
def demo(into: str) -> None:
    """Run a whole release of four products, one in two builds, from real files, and show what is refused.

    Store, keys, trust root, gates, isolation, archives, approvals, promotion, publishing, install and
    rollback, by the same commands that people type. Needs the [demo] extra.

    \b
    Example:
      casstore demo --into ./demo
    Exit status: 0 all as told, 1 something was not, 8 the [demo] packages are missing.
    """
    from cli.demo import story

    story.play(_new_folder(into))


def _new_folder(into: str) -> str:
    os.makedirs(into, exist_ok=True)
    number = 1
    while True:
        folder = os.path.join(os.path.abspath(into), f"run-{number}")
        try:
            os.mkdir(folder)
        except FileExistsError:
            number += 1
        else:
            return folder


COMMANDS = {"demo": demo}
