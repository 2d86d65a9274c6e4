"""The one reader of TOML, of our own files and of those of others.

Promises: a text that is read took time and memory in proportion to its length, for the standard library's reader takes
their square where names are joined by many dots (20 KB of `a.a.a.` is 400 MB). Leaves to others: where in a text a
mistake stands; what the tables mean.

    read(b'[store]\\nurl = "./store"\\n')["store"]["url"]
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

MAX_BYTES = 1024 * 1024
"""Where nobody gives another limit."""
MAX_NAMES = 64
"""Joined by dots in one key or one table's name; as deep as our JSON."""
_NAME = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_MANY = re.compile(rf"(?<![A-Za-z0-9_\\-]){_NAME}(?:[ \t]*+\.[ \t]*+{_NAME}){{{MAX_NAMES}}}")


def read(data: bytes, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The tables of UTF-8, with or without a byte order mark. Raises ValueError, as UnicodeDecodeError too."""
    if len(data) > max_bytes:
        raise ValueError(f"larger than {max_bytes} bytes")
    return parse(data.decode("utf-8-sig"))


def parse(text: str) -> dict[str, Any]:
    """The tables of a text. Raises ValueError: what tomllib says, a number that is too long, nested too deeply."""
    if text.count(".") >= MAX_NAMES and (found := _MANY.search(text)):
        line = text.count("\n", 0, found.start()) + 1
        raise ValueError(f"more than {MAX_NAMES} names are joined by dots (at line {line}, column 1)")
    try:
        return tomllib.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
