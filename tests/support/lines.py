"""A product line on disk: a project folder with casstore.toml, a store, and CI that puts and releases.

line = Line.make(tmp_path)
line.put("1.0.0")
report = line.release("1.0.0")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundlers.building.provenance import PutReport, put_components
from bundlers.releases import ReleaseReport, ReleaseRequest, release
from casstore import config as configs
from casstore.config import Config
from casstore.store.store import Store
from tests.support.worlds import World, signer, trust_root

TOML = """
[store]
url = "../store"

[components.core-bin]
include = ["core/**"]
[components.agent-bin]
include = ["agent/**"]
[components.licences]
include = ["LICENSES/**"]
shared = "every product ships the licence texts"

[products.core]
components = ["core-bin", "licences"]
format = "tar.gz"
[products.agent]
components = ["agent-bin", "licences"]
format = "zip"
"""

GATES = """
[gates]
seal = {}
secrets = {}
budget = { archive = "10MB", files = 100 }
"""

FILES: Mapping[str, bytes] = {
    "core/bin/core": b"\x7fELF" + bytes(range(256)) * 64,
    "core/lib/libcore.so.1": b"\x7fELF library " * 500,
    "core/etc/core.conf": b"listen = 127.0.0.1\n",
    "agent/agent.exe": b"MZ" + bytes(reversed(range(256))) * 64,
    "agent/readme.txt": b"read me\r\n",
    "LICENSES/MIT.txt": b"Permission is hereby granted\n",
}


@dataclass
class Line(World):
    """A world whose components come from files of a folder."""

    root: Path = Path()

    @staticmethod
    def make(folder: Path, *, toml: str = TOML + GATES, files: Mapping[str, bytes] = FILES, **changes: Any) -> Line:
        """Project and store below a folder; the ledger begins with a trust root."""
        line = Line(Store.init(str(folder / "store")), root=folder / "project")
        line.genesis(trust_root(line.store.store_id, **changes))
        line.write(files)
        line.configure(toml)
        return line

    @property
    def config(self) -> Config:
        return configs.load(str(self.root / "casstore.toml"), str(self.root))

    @property
    def out(self) -> Path:
        """Where releases appear, each in its own folder."""
        return self.root.parent / "dist"

    def write(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def configure(self, toml: str) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "casstore.toml").write_text(toml)

    def put(self, version: str, *names: str, by: str = "ci", replace: bool = True) -> PutReport:
        """Components, all of them when none is named; other bytes than before are taken on purpose."""
        return put_components(
            self.store,
            self.ledger,
            self.config,
            names or tuple(self.config.components),
            version=version,
            signer=signer(by),
            root=str(self.root),
            now=self.now,
            replace=replace,
        )

    def request(self, version: str, *, by: str = "ci", **changes: Any) -> ReleaseRequest:
        changes = {"out": str(self.out / version), **changes}
        return ReleaseRequest(self.store, self.ledger, self.config, version, signer(by), self.now, **changes)

    def ship(self, version: str, **changes: Any) -> ReleaseReport:
        """Release what was put; `put` first when nothing was."""
        return release(self.request(version, **changes))
