"""Attacks open many stores; none is left open for the tests that follow (descriptors are few)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from casstore.store.store import Store


@pytest.fixture(autouse=True)
def _stores_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    opened: list[Store] = []
    real = Store.__init__

    def remembered(self: Store, *args: Any, **options: Any) -> None:
        real(self, *args, **options)
        opened.append(self)

    monkeypatch.setattr(Store, "__init__", remembered)
    yield
    for store in opened:
        store.close()
