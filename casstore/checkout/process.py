"""A worker of a checkout as a process of its own; `team` shares the work out."""

from __future__ import annotations

import os
from typing import Any

from casstore.checkout.writing import Find, RegionWriter
from casstore.index.attach import attach_spots
from casstore.index.rows import IndexDoubt
from casstore.machine.workers import serve
from casstore.objects.packs import LocalPacks


def main() -> int:
    """Regions; answers each with what failed."""
    return serve(lambda setup: _writer(setup).write)


def _writer(setup: Any) -> RegionWriter:
    top = os.open(setup["top"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return RegionWriter(LocalPacks(setup["store"]).read, _spots(setup["index"]), top, masked=setup["masked"])


def _spots(index: str) -> Find:
    """Where objects lie; nowhere when the index was replaced meanwhile: then the parent writes the files itself."""
    try:
        return attach_spots(index)
    except IndexDoubt:
        return lambda _: None
