"""How a component's files lie in an archive: strip, rename, to, mode (docs/formats/product-manifest.md).

Promises: a function of the tree's paths and the layout; a rule that fits no file, two rules that
contradict each other, and a link that a rename leaves pointing at nothing, are refused by name.

    layout = Layout(to="bin", strip=2, rename={"acme-linux": "acme"}, mode={"bin/*": "0755"})
    Laying("core-bin", layout).path("dist/linux/acme-linux")      # bin/acme
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from attest.core.fields import Fields
from attest.errors import BadInput, FormatError
from casstore.ingest.globs import Selection

MODES = {f"{mode:04o}": mode for mode in (0o600, 0o640, 0o644, 0o700, 0o750, 0o755)}
"""What a file of a product may have."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Of one component, in the order in which it is applied: strip, rename, to, mode."""

    to: str = ""
    strip: int = 0
    rename: Mapping[str, str] = field(default_factory=dict)
    mode: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What differs from lying there as it was put."""
        rows: dict[str, Any] = {
            "to": self.to,
            "strip": self.strip,
            "rename": dict(self.rename),
            "mode": dict(self.mode),
        }
        return {key: value for key, value in rows.items() if value}

    @staticmethod
    def parse(value: object) -> Layout:
        """The JSON value to a layout. Raises FormatError."""
        f = Fields(value, "layout", required=(), optional=("to", "strip", "rename", "mode"))
        rename, mode = f.optional_mapping("rename"), f.optional_mapping("mode")
        if not all(isinstance(new, str) for new in rename.values()) or not set(mode.values()) <= MODES.keys():
            raise FormatError("layout: rename or mode has a value that it cannot have")
        return Layout(f.text("to", ""), f.integer("strip", 0), rename, mode)


class Laying:
    """Lays one component's files; which rules were of use is known at the end."""

    def __init__(self, component: str, layout: Layout) -> None:
        self._name, self._layout = component, layout
        self._used: set[str] = set()
        self._rules = [(glob, Selection((glob,)), MODES[mode]) for glob, mode in layout.mode.items()]

    def path(self, path: str) -> str:
        """Where a file lies, below the product's `wrap`. Raises BadInput."""
        parts = path.split("/")
        if len(parts) <= self._layout.strip:
            raise BadInput(
                f"component {self._name}: {path} has no {self._layout.strip} folders that could be stripped",
                hint=f"write a smaller strip under [components.{self._name}], or a root",
            )
        stripped = "/".join(parts[self._layout.strip :])
        if stripped in self._layout.rename:
            self._used.add(stripped)
        return posixpath.join(self._layout.to, self._layout.rename.get(stripped, stripped))

    def mode(self, path: str, mode: int) -> int:
        """The mode of the file that lies there. Raises BadInput when two rules say different ones."""
        fitting = [(glob, wanted) for glob, files, wanted in self._rules if files.takes(path.encode())]
        self._used.update(glob for glob, _ in fitting)
        if len({wanted for _, wanted in fitting}) > 1:
            globs = " and ".join(repr(glob) for glob, _ in fitting)
            raise BadInput(f"component {self._name}: the mode rules {globs} say different modes for {path}")
        return fitting[0][1] if fitting else mode

    def check_used(self) -> None:
        """Raises BadInput for a rule that fits no file."""
        for what, rules in (("rename", self._layout.rename), ("mode", self._layout.mode)):
            if unused := [rule for rule in rules if rule not in self._used]:
                raise BadInput(
                    f"component {self._name}: its {what} rule {unused[0]!r} fits no file",
                    hint="take it out, or see how its files lie: casstore release VERSION --dry-run --list",
                )

    def check_links(self, before: Mapping[str, str], laid: Mapping[str, str]) -> None:
        """`before` is path -> link target as put, `laid` path as put -> path now. Raises BadInput for a broken link."""
        there, now = _with_folders(laid), _with_folders(laid.values())
        for path, target in before.items():
            aim = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            new = posixpath.normpath(posixpath.join(posixpath.dirname(laid[path]), target))
            if aim in there and new not in now:
                raise BadInput(
                    f"component {self._name}: {laid[path]} is a link to {target}, which is not there as it is laid out",
                    hint="move both by the same rule",
                )


def _with_folders(paths: Iterable[str]) -> set[str]:
    found = {""}
    for path in paths:
        while path not in found:
            found.add(path)
            path = posixpath.dirname(path)
    return found | {"."}
