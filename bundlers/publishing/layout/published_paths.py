"""The one rule for names that are published or stand in a kit.

check_path("releases/1.2.0/core-1.2.0.tar.gz")
"""

from __future__ import annotations

import re

from attest.errors import BadInput

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]*", re.ASCII)


def check_path(path: str) -> str:
    """The path itself. Raises BadInput unless every segment is plain ASCII without a leading dot."""
    if not all(_SEGMENT.fullmatch(part) for part in path.split("/")):
        raise BadInput(f"cannot be published under this name: {path[:200]!r}", hint="use A-Z a-z 0-9 . _ - + ~")
    return path
