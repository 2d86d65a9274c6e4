"""A release line of one product, driven by real processes: each command with what must be there when it is done.

place = Place.make(tmp_path)
for words in BEGIN:
    place.must(*words)
for step in STEPS.values():
    place.must(*step.words)
    step.done(place)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from casstore.fsck import fsck
from casstore.ledger.book.log import Ledger
from casstore.store.store import Store

CASSTORE = [sys.executable, "-m", "cli.main"]
TOML = """\
[store]
url = "./store"
[components.a]
include = ["**"]
root = "a"
[products.one]
components = ["a"]
format = "tar.gz"
[gates]
seal = {}
[channels.dev]
approvals = 0
[destinations.public]
url = "./public"
"""


class Place:
    """A line in a folder of its own, driven by real processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: Mapping[str, str] = {
            **os.environ,
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / ".local" / "state"),
            "CASSTORE_KEY": str(folder / "key.pem"),
        }

    @staticmethod
    def make(folder: Path) -> Place:
        """A project; nothing has been done yet."""
        (folder / "a" / "below").mkdir(parents=True)
        for number in range(10):
            (folder / "a" / "below" / str(number)).write_bytes(b"%d" % number * 1000)
        (folder / "a" / "file").write_bytes(b"content" * 10_000)
        (folder / "casstore.toml").write_text(TOML)
        return Place(folder)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CASSTORE, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def must(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def whole(self) -> None:
        with Store.open(str(self.folder / "store")) as store:
            assert fsck(store).ok
            Ledger(store).verify()

    def listed(self) -> list[str]:
        """Files and folders that somebody would see: not those of the store, the index and the user's state."""
        found = []
        for top in ("dist", "public", "installed", "out"):
            for path in (self.folder / top, *(self.folder / top).rglob("*")):
                hidden = any(part.startswith(".") for part in path.relative_to(self.folder).parts)
                found += [] if hidden or not os.path.lexists(path) else [str(path.relative_to(self.folder))]
        return found


@dataclass(frozen=True)
class Step:
    """A command, and what is there when it is done."""

    words: tuple[str, ...]
    done: Callable[[Place], None]
    half: Callable[[Place], None] = lambda _: None
    """What must hold after a fault."""


def released(place: Place) -> None:
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=place.folder / "dist" / "1", check=True)
    assert [row["version"] for row in json.loads(place.must("ls", "--json"))["releases"]] == ["1"]


def all_or_nothing(place: Place) -> None:
    if (place.folder / "dist" / "1").exists():
        released(place)


def promoted(place: Place) -> None:
    (row,) = json.loads(place.must("ls", "--json"))["releases"]
    assert row["channels"] == ["dev"]


def published(place: Place) -> None:
    place.must("verify", "./public", "--channel", "dev")


def installed(place: Place) -> None:
    assert (place.folder / "installed" / "current" / "file").read_bytes() == b"content" * 10_000
    left = [path for path in (place.folder / "installed").rglob("*") if path.name.endswith((".partial", ".part"))]
    assert left == []


def old_or_new(place: Place) -> None:
    if os.path.lexists(place.folder / "installed" / "current"):
        assert (place.folder / "installed" / "current" / "file").read_bytes() == b"content" * 10_000


def got(place: Place) -> None:
    assert (place.folder / "out" / "file").read_bytes() == b"content" * 10_000
    assert len(list((place.folder / "out").rglob("*"))) == 12


def got_or_not(place: Place) -> None:
    if (place.folder / "out").exists():
        got(place)


BEGIN = (
    ("keys", "generate", "key.pem", "--no-passphrase", "--algorithm", "ed25519"),
    ("init", "--key", "key.pem"),
)
STEPS = {
    "put": Step(("put", "--all", "--release-version", "1"), lambda place: None),
    "release": Step(("release", "1", "--out", "dist/1"), released, all_or_nothing),
    "promote": Step(("promote", "1", "--to", "dev"), promoted),
    "publish": Step(("publish", "dev", "--to", "public"), published),
    "install": Step(
        ("install", "one", "--from", "./public", "--channel", "dev", "--into", "installed"), installed, old_or_new
    ),
    "get": Step(("get", "a@1", "out"), got, got_or_not),
}
