"""Where the system has no file locks (Windows): installing works, and a store says why it cannot be kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.published import PublishedWorld

CONSUMER = """
import sys
for name in ("fcntl", "resource", "pwd", "grp"):
    sys.modules[name] = None
from datetime import datetime
from bundlers.consuming.service import TrustSettings
from bundlers.installing.install import install
from casstore.machine.locks import NoLocks
from casstore.store.store import Store

trust = TrustSettings("state")
now = datetime.fromisoformat(sys.argv[1])
done = install("public", "core", channel="prod", into="core", trust=trust, at=now, links=False)
print(done.receipt.version)
try:
    Store.init("store2").close()
except NoLocks as exc:
    print(exc.message)
"""


def test_a_consumer_without_locks(tmp_path: Path) -> None:
    world = PublishedWorld.make(str(tmp_path / "store"))
    world.ship("1.0.0")
    world.to_prod("1.0.0")
    world.publish("prod", str(tmp_path / "public"))
    done = subprocess.run(
        [sys.executable, "-c", CONSUMER, world.now.isoformat()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    version, refusal = done.stdout.splitlines()
    assert version == "1.0.0" and "it has no file locks" in refusal
    assert (tmp_path / "core" / "current.txt").exists()
