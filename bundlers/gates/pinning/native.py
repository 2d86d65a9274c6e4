"""The locks of Cargo and Go."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bundlers.gates.pinning import forms
from casstore.machine import toml_text


def cargo_lock(text: str) -> Iterator[str]:
    """Cargo.lock: a checksum, or a Git revision in full."""
    rows = toml_text.parse(text).get("package", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("its packages are no tables")
    for row in rows:
        source = str(row.get("source", ""))
        if source.startswith("git+"):
            if not forms.is_revision(source.rpartition("#")[2]):
                yield f"{row.get('name')} names no full Git revision"
        elif source and not re.fullmatch(r"[0-9a-f]{64}", str(row.get("checksum", ""))):
            yield f"{row.get('name')} has no checksum"


def go_sum(text: str) -> Iterator[str]:
    """go.sum: every line ends with h1."""
    for line in text.splitlines():
        if line.strip() and not re.fullmatch(r"\S+ \S+ h1:[A-Za-z0-9+/]{43}=", line.strip()):
            yield f"{line[:80]!r} has no h1 hash"
