"""A gate's TOML table to its typed settings: every key known, every value of its type.

@dataclass(frozen=True, slots=True)
class Settings:
    archive: Size | None = None
    allow: tuple[str, ...] = ()

settings_of(Settings, {"archive": "200MB"}, "budget").archive == 200_000_000
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from attest.errors import BadInput

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?")
_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}


class Size(int):
    """A number of bytes, written as a number or as `200MB` (1000s) or `200MiB` (1024s)."""


def parse_size(value: object) -> Size:
    """Bytes: a number, or a text as `200MB` or `1.5 GiB`. Raises BadInput."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Size(value)
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadInput(f"not a size: {value!r}", hint="write bytes, or a text as 200MB or 1.5GiB")
    return Size(int(float(match[1]) * _UNITS[match[2] or "B"]))


def settings_of(kind: type[Any], table: Mapping[str, Any], gate: str) -> Any:
    """A gate's table to its settings. Raises BadInput for an unknown, missing or mistyped key."""
    if not is_dataclass(kind):
        raise BadInput(f"gate {gate}: its Settings is no dataclass", hint="tell its author")
    for _, problem in problems(kind, table, gate):
        raise problem
    hints = get_type_hints(kind)
    return kind(**{name: typed(hints[name], value, name) for name, value in table.items()})


def problems(kind: type[Any], table: Mapping[str, Any], gate: str) -> Iterator[tuple[str, BadInput]]:
    """Everything that is wrong with a gate's table: the key, or an empty text for the table, and what."""
    known = {item.name: item for item in fields(kind)}
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            meant = f", did you mean {near[0]!r}?" if near else ""
            yield key, BadInput(f"there is no setting {key!r}{meant}", hint=f"known: {', '.join(known) or 'none'}")
    required = (n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING)
    for name in sorted(set(required) - set(table)):
        yield "", BadInput(f"the setting {name!r} is missing", hint=f"casstore gate explain {gate}")
    hints = get_type_hints(kind)
    for name in known.keys() & table.keys():
        try:
            typed(hints[name], table[name], name)
        except BadInput as exc:
            yield name, exc


def typed(hint: Any, value: object, name: str) -> Any:
    """A TOML value as the type that a field asks for. Raises BadInput."""
    for option in get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,):
        found = _as(option, value, name)
        if found is not None:
            return found
    raise BadInput(f"{name} = {value!r} has the wrong type", hint=f"wanted: {_told(hint)}")


def _as(hint: Any, value: object, name: str) -> Any:
    """The value, or None when the type does not fit."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Size:
        return parse_size(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if origin is tuple and isinstance(value, list):
        return tuple(typed(args[0], item, name) for item in value)
    if origin is Mapping and isinstance(value, Mapping):
        return {key: typed(args[1], item, f"{name}.{key}") for key, item in value.items()}
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return settings_of(hint, value, name)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and origin is None and hint is not NoneType:
        fits = isinstance(value, hint) and isinstance(value, bool) is (hint is bool)
        return value if fits else None
    return None


def _told(hint: Any) -> str:
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Size: "a size as 200MB"}
    lists = (o for o in options if o is not NoneType)
    return " or ".join(words.get(o, "a list" if get_origin(o) is tuple else "a table") for o in lists)
