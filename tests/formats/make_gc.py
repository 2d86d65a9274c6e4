"""Makes the golden files of pins and loose collection steps: python tests/formats/make_gc.py

Tokens are derived from fixed texts, so that every run gives the same bytes.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attest import canonical
from attest.digests import sha256
from casstore.gc.loose import step
from casstore.gc.pins import Pin

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
PACKS = sorted(sha256(b"pack %d" % number) for number in range(3))


def token(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def files() -> dict[str, bytes]:
    """Path below the golden folder -> content."""
    pin = Pin(sha256(b"kept"), "customer 17 still runs it", NOW, token("pin"))
    later = NOW + timedelta(days=7)
    return {
        "gc/pin.json": canonical.dumps(pin.to_json()),
        "gc/0.json": step(0, "condemn", PACKS, timedelta(days=7), (), NOW, token("0")),
        "gc/1.json": step(1, "delete", PACKS[:2], timedelta(0), (0,), later, token("1")),
    }


if __name__ == "__main__":
    for name, data in files().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
