"""Progress of long work, told to an object that does nothing by default."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears how far long work has come."""

    @property
    def shown(self) -> bool:
        """Whether anyone watches; only then is it worth counting what is to come."""

    def start(self, what: str, total_files: int | None, total_bytes: int | None) -> None:
        """Work begins; None = not known yet."""

    def advance(self, files: int, bytes: int, new_bytes: int) -> None:  # noqa: A002  the contract's name
        """So much more is done."""

    def expect(self, files: int, bytes: int) -> None:  # noqa: A002  the contract's name
        """The totals that `start` did not know; from any thread."""

    def finish(self) -> None:
        """Work has ended."""


class NullProgress:
    """Says nothing."""

    shown = False

    def start(self, what: str, total_files: int | None, total_bytes: int | None) -> None:
        """Nothing."""

    def advance(self, files: int, bytes: int, new_bytes: int) -> None:  # noqa: A002
        """Nothing."""

    def expect(self, files: int, bytes: int) -> None:  # noqa: A002
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""
