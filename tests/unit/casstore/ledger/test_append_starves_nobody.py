"""Writers of the library that append at once: each comes to its turn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from casstore.ledger.book.log import Ledger
from casstore.store.store import Store

WRITER = """
import sys, time
from attest.digests import sha256
from casstore.ledger.entries import EntryKind
from casstore.ledger.book.log import Ledger
from casstore.machine import clock
from casstore.store.store import Store
worst = 0.0
with Store.open(sys.argv[1]) as store:
    ledger = Ledger(store)
    for number in range(20):
        began = time.monotonic()
        ledger.append(EntryKind.EVIDENCE, sha256(f"{sys.argv[2]}/{number}".encode()), packs=(), now=clock.now())
        worst = max(worst, time.monotonic() - began)
print(worst)
"""


def test_eight_writers(tmp_path: Path) -> None:
    with Store.init(str(tmp_path / "store")) as store:
        command = [sys.executable, "-c", WRITER, store.url]
        started = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(8)]
        waits = [float(process.communicate(timeout=120)[0]) for process in started]
        assert Ledger(store).verify().entries == 160
    assert max(waits) < 10, "nobody waits until the others are done"
