"""Lines that commands write into casstore.toml: whole or not at all, and only where they mean what was asked.

add_accepted(path, {"name": "blas", "tree": digest, "between": ["a", "b"], "reason": "both link it"})
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from attest.errors import BadInput
from casstore.errors import Conflict
from casstore.machine import toml_text
from casstore.machine.modes import set_mode

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_REFERENCES = re.compile(r"(?m)^\[isolation\.references\][^\n]*\n")


def add_accepted(path: str, row: Mapping[str, Any]) -> str:
    """Append a line of `[[isolation.accepted]]`; the text that was added. Raises BadInput, Conflict."""
    lines = "".join(f"{key} = {_value(value)}\n" for key, value in row.items())
    added = f"\n[[isolation.accepted]]\n{lines}"

    def means(before: dict[str, Any]) -> None:
        before.setdefault("isolation", {}).setdefault("accepted", []).append(dict(row))

    _write(path, lambda text: _ended(text) + added, means, added)
    return added


def replace_accepted(path: str, name: str, tree: str, other: str) -> None:
    """Give an acceptance another tree. Raises BadInput, Conflict."""

    def means(before: dict[str, Any]) -> None:
        row = next(row for row in before["isolation"]["accepted"] if row["name"] == name)
        row["tree"] = other

    _write(path, lambda text: text.replace(tree, other), means, f'tree = "{other}"')


def add_reference(path: str, name: str, tree: str) -> str:
    """Add a line to `[isolation.references]`, or give it another tree; the text. Raises BadInput, Conflict."""
    line = f"{_key(name)} = {_value(tree)}\n"

    def put(text: str) -> str:
        table = _REFERENCES.search(text)
        old = toml_text.parse(text).get("isolation", {}).get("references", {}).get(name)
        if old is not None:
            return text.replace(f"{_key(name)} = {_value(old)}\n", line)
        if table is None:
            return f"{_ended(text)}\n[isolation.references]\n{line}"
        return text[: table.end()] + line + text[table.end() :]

    def means(before: dict[str, Any]) -> None:
        before.setdefault("isolation", {}).setdefault("references", {})[name] = tree

    _write(path, put, means, f"[isolation.references]\n{line}")
    return line


def _write(path: str, change: Callable[[str], str], means: Callable[[dict[str, Any]], None], told: str) -> None:
    with open(path, "rb") as file:
        data = file.read()
    text = data.decode("utf-8")
    ends = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n")
    wanted = toml_text.parse(plain)
    means(wanted)
    made = change(plain)
    try:
        same = toml_text.parse(made) == wanted
    except ValueError:
        same = False
    if not same:
        raise BadInput(f"{path}: the line does not fit in; write it by hand", hint=told.strip().replace("\n", "; "))
    with open(path, "rb") as file:
        if file.read() != data:
            raise Conflict(f"{path}: changed meanwhile", hint="run it again")
    _replace(path, made.replace("\n", ends).encode())


def _replace(path: str, data: bytes) -> None:
    fd, temp = tempfile.mkstemp(prefix=".casstore.toml.", dir=os.path.dirname(os.path.abspath(path)))
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        set_mode(temp, os.stat(path).st_mode & 0o777)
        os.replace(temp, path)
    except BaseException:
        os.unlink(temp)
        raise


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else _value(name)


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04X}" for c in escaped) + '"'
