"""For tests about real file systems: they write where everybody's temporary files lie, not in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="casstore-tests-", ignore_cleanup_errors=True) as made:
        yield Path(made)
