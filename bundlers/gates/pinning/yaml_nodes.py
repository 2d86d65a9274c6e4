"""The door to PyYAML: documents as plain values, texts as they are written, unknown tags and all.

Promises: nothing is constructed (no dates, no objects), duplicate keys are an error, aliases cost nothing twice,
what nests too deeply or is larger than 8 MiB is an error. Raises ValueError.
"""

from __future__ import annotations

from typing import Any

import yaml

_MAX = 8 * 1024 * 1024


def documents(text: str) -> list[Any]:
    """The documents of a file: texts, lists and mappings of those."""
    if len(text) > _MAX:
        raise ValueError(f"it is larger than {_MAX} characters")
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        made: dict[int, Any] = {}
        return [_value(node, made) for node in yaml.compose_all(text, Loader=loader) if node is not None]
    except yaml.YAMLError as exc:
        raise ValueError(" ".join(str(exc).split())[:200]) from exc
    except RecursionError as exc:
        raise ValueError("it nests too deeply") from exc


def _value(node: Any, made: dict[int, Any]) -> Any:
    """A node as text, list or mapping; an alias is the same value again."""
    if id(node) in made:
        return made[id(node)]
    if node.id == "scalar":
        return str(node.value)
    if node.id == "sequence":
        rows: list[Any] = []
        made[id(node)] = rows
        rows += (_value(inner, made) for inner in node.value)
        return rows
    table: dict[str, Any] = {}
    made[id(node)] = table
    for key, inner in node.value:
        name = str(key.value) if key.id == "scalar" else f"({key.id})"
        if name in table and name != "<<":
            raise ValueError(f"line {key.start_mark.line + 1}: the key {name[:60]!r} stands twice")
        table[name if name not in table else f"<< {len(table)}"] = _value(inner, made)
    return table
