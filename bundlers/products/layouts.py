"""How a component's files lie in an archive: strip, rename, to, mode, folders (docs/formats/product-manifest.md).

Promises: a function of the tree's paths and the layout; a rule that fits nothing, two rules that
contradict each other, and a link that a rename leaves pointing at nothing, are refused by name.

    layout = Layout(to="bin", strip=2, rename={"acme-linux": "acme"}, mode={"bin/*": "0755"})
    Laying("core-bin", layout).path("dist/linux/acme-linux")      # bin/acme
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.errors import BadInput, FormatError
from casstore.ingest.globs import Selection

MODES = {f"{mode:04o}": mode for mode in (0o600, 0o640, 0o644, 0o700, 0o750, 0o755)}
"""What a file of a product may have."""
FOLDER_MODES = {name: MODES[name] for name in ("0700", "0750", "0755")}
"""What an empty folder of a product may have."""
_ALL_FOLDERS = ("folders", "**")
"""Whatever there is, and there may be none."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Of one component, in the order in which it is applied: strip, rename, to, mode and folders."""

    to: str = ""
    strip: int = 0
    rename: Mapping[str, str] = field(default_factory=dict)
    mode: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)
    """Empty folders that are kept."""

    def to_json(self) -> dict[str, Any]:
        """What differs from lying there as it was put."""
        rows: dict[str, Any] = {
            "to": self.to,
            "strip": self.strip,
            "rename": dict(self.rename),
            "mode": dict(self.mode),
            "folders": dict(self.folders),
        }
        return {key: value for key, value in rows.items() if value}

    @staticmethod
    def parse(value: object) -> Layout:
        """The JSON value to a layout. Raises FormatError."""
        f = Fields(value, "layout", required=(), optional=("to", "strip", "rename", "mode", "folders"))
        rename, mode, folders = (f.optional_mapping(name) for name in ("rename", "mode", "folders"))
        if not all(isinstance(new, str) for new in rename.values()):
            raise FormatError("layout: rename has a value that it cannot have")
        for name, rules, known in (("mode", mode, MODES), ("folders", folders, FOLDER_MODES)):
            if not all(isinstance(one, str) and one in known for one in rules.values()):
                raise FormatError(f"layout: {name} has a value that it cannot have")
        return Layout(f.text("to", ""), f.integer("strip", 0), rename, mode, folders)


class Laying:
    """Lays one component's files; which rules were of use is known at the end."""

    def __init__(self, component: str, layout: Layout) -> None:
        self._name, self._layout = component, layout
        self._used: set[tuple[str, str]] = set()
        self._rules = {name: _rules(rules) for name, rules in (("mode", layout.mode), ("folders", layout.folders))}

    def path(self, path: str) -> str:
        """Where a file lies, below the product's `wrap`. Raises BadInput."""
        stripped = self._stripped(path)
        if stripped is None:
            raise BadInput(
                f"component {self._name}: {path} has no {self._layout.strip} folders that could be stripped",
                hint=f"write a smaller strip under [components.{self._name}], or a root",
            )
        return self._laid(stripped)

    def mode(self, path: str, mode: int) -> int:
        """The mode of the file that lies there. Raises BadInput when two rules say different ones."""
        wanted = self._ruled("mode", path)
        return mode if wanted is None else wanted

    def folder(self, path: str) -> tuple[str, int] | None:
        """Where an empty folder lies, and its mode; None for one that is not kept. Raises BadInput as `mode`."""
        stripped = self._stripped(path) if self._layout.folders else None
        if stripped is None:
            return None
        mode = self._ruled("folders", self._laid(stripped, used=False))
        return None if mode is None else (self._laid(stripped), mode)

    def _stripped(self, path: str) -> str | None:
        if not self._layout.strip:
            return path
        return "/".join(path.split("/")[self._layout.strip :]) or None

    def _laid(self, stripped: str, *, used: bool = True) -> str:
        if used and stripped in self._layout.rename:
            self._used.add(("rename", stripped))
        return posixpath.join(self._layout.to, self._layout.rename.get(stripped, stripped))

    def _ruled(self, what: str, path: str) -> int | None:
        if not self._rules[what]:
            return None
        fitting = [row for row in self._rules[what] if row[1].takes(path.encode("utf-8", "surrogateescape"))]
        self._used.update((what, glob) for glob, _, _ in fitting)
        if len({wanted for _, _, wanted in fitting}) > 1:
            globs = " and ".join(repr(glob) for glob, _, _ in fitting)
            raise BadInput(f"component {self._name}: the {what} rules {globs} say different modes for {path}")
        return fitting[0][2] if fitting else None

    def check_used(self) -> None:
        """Raises BadInput for a rule that fits nothing."""
        for what, rules, thing in (
            ("rename", self._layout.rename, "file"),
            ("mode", self._layout.mode, "file"),
            ("folders", self._layout.folders, "empty folder"),
        ):
            if unused := [rule for rule in rules if (what, rule) not in self._used and (what, rule) != _ALL_FOLDERS]:
                raise BadInput(
                    f"component {self._name}: its {what} rule {unused[0]!r} fits no {thing}",
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


def _rules(globs: Mapping[str, str]) -> list[tuple[str, Selection, int]]:
    return [(glob, Selection((glob,)), MODES[mode]) for glob, mode in globs.items()]


def _with_folders(paths: Iterable[str]) -> set[str]:
    found = {""}
    for path in paths:
        while path not in found:
            found.add(path)
            path = posixpath.dirname(path)
    return found | {"."}
