"""What a put takes otherwise than it lies there: told once, so that nothing is lost in silence.

A tree keeps bytes, names, links and whether the owner may execute; a setuid bit, a capability, a mode that
keeps others from reading are not kept (docs/formats/tree.md). An exclude that hits nothing is told beside
them: what it was meant for went in, or is gone.

    losses = Losses()
    walk(root, selection, losses=losses)
    losses.told(selection)
"""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Sequence
from typing import Any

from attest.core.values import dataclass
from casstore.errors import UnsupportedInput
from casstore.ingest.globs import Selection
from casstore.objects.tree import show

_SHOWN = 3
_SPECIAL = modes.S_ISUID | modes.S_ISGID | modes.S_ISVTX
_CHECKED = _SPECIAL | modes.S_IROTH
"""Bits of a file that is nothing but 0644, 0755 or writable for more: none but the last is set."""
SPECIAL, PRIVATE, CAPABILITY, EXCLUDE = "special-mode", "private-mode", "capability", "exclude"
_WORDS = {
    SPECIAL: "lose a setuid, setgid or sticky bit",
    PRIVATE: "are private (no read for others) and become readable for all",
    CAPABILITY: "lose their capabilities",
    EXCLUDE: "exclude nothing",
}


@dataclass(frozen=True, slots=True)
class Loss:
    """One kind of loss: how many, and the first of them."""

    kind: str
    count: int
    examples: tuple[str, ...]

    @property
    def told(self) -> str:
        """For people, in a line."""
        more = f" and {self.count - len(self.examples)} more" if self.count > len(self.examples) else ""
        what = "globs" if self.kind == EXCLUDE else "files or folders"
        return f"{self.count} {what} {_WORDS[self.kind]}: {', '.join(self.examples)}{more}"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"kind": self.kind, "count": self.count, "examples": list(self.examples)}


class Losses:
    """Collects them during a walk."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, list[str]]] = {}
        self._asks = hasattr(os, "getxattr")

    def look(self, path: bytes, relative: bytes, mode: int) -> None:
        """A file or folder that is taken, as it lies there."""
        if mode & _CHECKED != modes.S_IROTH:
            if mode & _SPECIAL and not modes.S_ISDIR(mode):
                self._add(SPECIAL, relative)
            if not mode & modes.S_IROTH:
                self._add(PRIVATE, relative)
        if self._asks and mode & 0o111 and modes.S_ISREG(mode) and self._capable(path):
            self._add(CAPABILITY, relative)

    def told(self, selection: Selection) -> tuple[Loss, ...]:
        """All of them, also globs of the selection that excluded nothing."""
        for pattern in selection.idle_excludes:
            self._add(EXCLUDE, os.fsencode(pattern))
        return tuple(Loss(kind, count, tuple(shown)) for kind, (count, shown) in sorted(self._found.items()))

    def _add(self, kind: str, name: bytes) -> None:
        count, shown = self._found.get(kind, (0, []))
        if len(shown) < _SHOWN:
            shown.append(show(name))
        self._found[kind] = (count + 1, shown)

    def _capable(self, path: bytes) -> bool:
        try:
            return bool(os.getxattr(path, b"security.capability", follow_symlinks=False))
        except OSError:  # none, or a file system that has no such thing
            return False


def require_none(losses: Sequence[Loss], what: str) -> None:
    """Raises UnsupportedInput for the first kind."""
    if losses:
        more = f" (and {len(losses) - 1} more kinds)" if len(losses) > 1 else ""
        raise UnsupportedInput(
            f"{what}: {losses[0].told}{more}; nothing was recorded",
            hint='mend them; a product keeps 0600 by mode = { GLOB = "0600" } of its component; or leave out --strict',
        )
