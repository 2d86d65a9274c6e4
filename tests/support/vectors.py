"""Test vectors of other projects, as tests/data keeps them: compressed, with their origin beside them."""

from __future__ import annotations

import gzip
import json
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data"


@cache
def packed(name: str) -> dict[str, bytes]:
    """The files of an archive in tests/data, without folders: path -> bytes."""
    with tarfile.open(DATA / name) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive.getmembers() if m.isfile()}  # type: ignore[union-attr]


@cache
def zipped_json(name: str) -> Any:
    """A gzipped JSON file in tests/data."""
    return json.loads(gzip.decompress((DATA / name).read_bytes()))
