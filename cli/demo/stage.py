"""Runs commands as a person would, in one folder, showing each command, its time and its exit code."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

from attest.errors import CasstoreError
from cli import main
from cli.drawing import render


class DemoFailed(CasstoreError):
    """A command of the demo ended otherwise than the story says."""


class Stage:
    """The folder of one run, and the story told so far."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.commands = 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The folder as working folder, with no store or key taken from outside."""
        before = os.getcwd()
        saved = {name: os.environ.pop(name) for name in ("CASSTORE_STORE", "CASSTORE_KEY") if name in os.environ}
        os.chdir(self.folder)
        try:
            yield
        finally:
            os.chdir(before)
            os.environ.update(saved)

    def title(self, text: str) -> None:
        """A part of the story begins."""
        render.line("")
        render.line(f"== {text}")

    def tell(self, text: str) -> None:
        """One line of the story."""
        render.line(f"   {text}")

    def run(self, *args: str, expect: int = 0) -> None:
        """Type a command. Raises DemoFailed when it does not end with the expected exit code."""
        render.line(f"$ casstore {shlex.join(args)}")
        began = time.monotonic()
        code = main.invoke(list(args))
        self.commands += 1
        took = render.seconds(time.monotonic() - began)
        render.line(f"   exit code {code}, {took}" if expect else f"   {took}")
        if code != expect:
            raise DemoFailed(
                f"'casstore {shlex.join(args)}' ended with exit code {code}, not {expect}",
                hint="please report it, with what is above",
            )

    def write(self, path: str, text: str) -> None:
        """A file as a person would edit it."""
        with open(os.path.join(self.folder, path), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
