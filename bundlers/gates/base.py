"""What a gate is: a name, a phase, typed settings, and a pure check over a read-only view.

    class Settings: ...                                    # frozen dataclass, every field a TOML key
    def check(view: ReleaseView, settings: Settings) -> GateResult: ...

A gate reads what the view offers and nothing else; it returns a result, or raises - which fails it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, BinaryIO, Protocol, get_args, get_type_hints

from attest.digests import Digest
from attest.errors import BadInput
from bundlers.product_manifests import ProductManifest
from casstore.objects.tree import TreeEntry


class Phase(enum.StrEnum):
    """When a gate is asked."""

    INPUTS = "inputs"
    """Before a byte is packed."""
    STAGED = "staged"
    """On the archives in quarantine."""
    CHANNEL = "channel"
    """At promotion, where the signed policy asks for it."""


class ViewStore(Protocol):
    """What a gate may read of the store."""

    def walk(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of every file and link below a tree."""

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable, verified stream."""


@dataclass(frozen=True, slots=True)
class StagedArchive:
    """An archive in quarantine."""

    name: str
    path: str
    digest: Digest
    size: int
    manifest: ProductManifest


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """A release in the making, to look at."""

    version: str
    trees: Mapping[str, Digest]
    manifests: Mapping[str, ProductManifest]
    store: ViewStore
    root: str
    """The folder of casstore.toml, where a user's own commands run."""
    archives: Mapping[str, StagedArchive] = field(default_factory=dict)

    def files(self) -> Iterator[tuple[str, str, TreeEntry]]:
        """(component, path, entry) of every file of every component, each tree once."""
        for component, tree in sorted(self.trees.items()):
            for path, entry in self.store.walk(tree):
                if entry.kind == "file":
                    yield component, path.decode("utf-8", "backslashreplace"), entry


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate found."""

    passed: bool
    messages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    suggested_fix: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)


class Gate(Protocol):
    """One file of this package, or an object that another distribution offers by entry point."""

    NAME: str
    PHASE: Phase
    SUMMARY: str
    Settings: type[Any]

    def check(self, view: ReleaseView, settings: Any) -> GateResult:
        """Judge. Raising fails the gate."""


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)?")
_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_size(value: int | str) -> int:
    """Bytes: a number, or a text as `200MB` or `1.5 GiB`. Raises BadInput."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadInput(f"not a size: {value!r}", hint="write bytes, or a text as 200MB or 1.5GiB")
    return int(float(match[1]) * _UNITS[match[2] or "B"])


def settings_of(kind: type[Any], table: Mapping[str, Any], gate: str) -> Any:
    """A gate's table to its settings. Raises BadInput for an unknown, missing or mistyped key."""
    assert is_dataclass(kind)  # noqa: S101 - the Gate protocol
    known = {item.name: item for item in fields(kind)}
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise BadInput(f"gate {gate}: there is no setting {unknown[0]!r}", hint=f"known: {', '.join(known) or 'none'}")
    required = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
    if missing := sorted(required - set(table)):
        raise BadInput(f"gate {gate}: the setting {missing[0]!r} is missing")
    hints = get_type_hints(kind)
    return kind(**{name: _typed(gate, name, hints[name], value) for name, value in table.items()})


def _typed(gate: str, name: str, hint: Any, value: Any) -> Any:
    allowed = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if isinstance(value, list) and tuple[str, ...] in allowed and all(isinstance(item, str) for item in value):
        return tuple(value)
    plain = tuple(item for item in allowed if isinstance(item, type) and item is not type(None))
    if isinstance(value, bool) is not (bool in plain) or not isinstance(value, plain):
        raise BadInput(f"gate {gate}: {name} = {value!r} has the wrong type")
    return value
