"""Every kind of damage in every kind of file outside a store: published, a witness's, a consumer's, installed.

A line was published and shown with a witness's line, a later one is staged; a consumer has installed it. What lies in
the publication is named by `fsck --published`, and comes back byte for byte where the store can make it. A witness, a
consumer and an installed folder refuse what they cannot use, or answer as before; a damaged memory accuses nobody.
Quick and in CI two damages of each kind of file are tried, with CASSTORE_PROFILE=deep all of them on every file.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from attest.errors import CasstoreError
from attest.log import checkpoints, cosignatures
from bundlers.consuming.service import TrustSettings
from bundlers.installing.install import install, verify_installed
from bundlers.publishing.published_check import check, mend
from casstore.errors import NoSuchObject
from casstore.storage import open_storage
from tests.support.damages import DAMAGES, Damage, removed
from tests.support.system_calls import DEEP, SEED, tell
from tests.support.witnessed import Line, asked

pytestmark = pytest.mark.timeout(3600)
STRANGER = "public/desktop.ini"
KINDS = {
    "stranger": STRANGER,
    "tuf root": r"public/metadata/\d+\.root\.json",
    "tuf list": r"public/metadata/\d+\.(targets|snapshot)\.json",
    "timestamp": r"public/metadata/timestamp\.json",
    "archive": r"public/targets/archives/[^/]*(zip|gz|zst)",
    "pieces": r"public/targets/archives/[^/]*\.pieces",
    "channel record": r"public/targets/channels/[^/]*\.json",
    "objects of a channel": r"public/targets/channels/[^/]*\.objects\.tar",
    "rows of a state": r"public/targets/channels/[^/]*\.state\.tar",
    "lists of files": r"public/targets/files/.*",
    "checkpoint and proof": r"public/targets/ledger/.*",
    "publication record": r"public/targets/publications/.*",
    "evidence": r"public/targets/releases/[^/]*/evidence/.*",
    "of a release": r"public/targets/releases/[^/]*/[^/]*",
    "trust root": r"public/targets/trust-root/.*",
    "plain trust root": r"public/trust-root/.*",
    "plain copy": r"public/releases/.*",
    "plain checkpoint": r"public/ledger/checkpoint",
    "tile": r"public/ledger/tile/.*",
    "feed": r"public/ledger/feed/[0-9].*",
    "feed's index": r"public/ledger/feed/index\.json",
    "witness's line": r"public/ledger/cosignatures/.*",
    "memory": r"w1-memory/memory\.json",
    "memory's lock": r"w1-memory/\.lock",
    "memory's store": r"w1-memory/store/casstore\.json",
    "memory's packs": r"w1-memory/store/packs/.*",
    "memory's entries": r"w1-memory/store/ledgers/main/\d{20}",
    "memory's index": r"w1-memory/store/index/.*",
    "line at its place": r"w1-out/.*",
    "tuf's own root": r"me/sources/[^/]*/1\.root\.json",
    "source": r"me/sources/[^/]*/source\.json",
    "tuf's cache": r"me/sources/[^/]*/tuf/.*",
    "pins": r"me/ledgers/[^/]*\.json",
    "lock": r"(me|opt)/.*\.?lock",
    "installed": r"opt/versions/.*",
    "receipt": r"opt/receipts/[^/]*[0-9a-f]\.json",
    "installed manifest": r"opt/receipts/.*\.product-manifest\.json",
}

SEALED = {"memory", "pins", "receipt"}


@dataclass(frozen=True)
class World:
    """What lies around a store, as it was, and where it is harmed."""

    line: Line
    good: Path

    @property
    def at(self) -> Path:
        return self.line.at

    @property
    def trust(self) -> TrustSettings:
        return TrustSettings(str(self.at / "me"), self.line.first)

    def files(self) -> dict[str, list[str]]:
        """Kind -> names; a file of no kind is a gap in this test."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.good.rglob("*")):
            name = str(path.relative_to(self.good))
            if path.is_file() and not path.is_symlink() and not re.search(r"/index/g-\w+/\.held", name):
                kinds = [kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, name)]
                assert kinds, f"{name}: of what kind is it?"
                found.setdefault(kinds[0], []).append(name)
        return found

    def again(self, place: str) -> None:
        """One place as it was."""
        shutil.rmtree(self.at / place)
        shutil.copytree(self.good / place, self.at / place, symlinks=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    at = tmp_path_factory.mktemp("around")
    with pytest.MonkeyPatch.context() as own:
        own.setenv("XDG_CACHE_HOME", str(at / "cache"))
        own.setenv("XDG_STATE_HOME", str(at / "state"))
        line = Line(at, asked(1, "w1"))
        line.world.ship("1.1.0", content=random.Random(1).randbytes(200_000))
        line.world.promote("1.1.0", "dev")
        line.publish()
        line.witness("w1")
        assert line.publish().staged is None
        trust = TrustSettings(str(at / "me"), line.first)
        install(str(line.public), "core", channel="dev", into=str(at / "opt"), trust=trust, at=line.world.now)
        line.later()
        line.world.ship("1.2.0", content=b"later")
        line.world.promote("1.2.0", "dev")
        assert line.publish().staged
        (at / STRANGER).write_text("[x]")
        for place in ("public", "w1-memory", "w1-out", "me", "opt"):
            shutil.copytree(at / place, at / "good" / place, symlinks=True)
        yield World(line, at / "good")
        line.world.store.close()


def test_every_damage_is_named_or_harmless(world: World) -> None:
    tell(f"CASSTORE_SEED={SEED}")
    tried: dict[str, int] = {}
    wrong = []
    files = world.files()
    assert files.keys() == KINDS.keys()
    for kind, names in files.items():
        for name, damage in chosen(kind, names):
            verdict = struck(world, kind, name, names, damage, random.Random(f"{SEED} {name} {damage.__name__}"))
            tried[verdict.partition(":")[0]] = tried.get(verdict.partition(":")[0], 0) + 1
            if verdict.startswith("wrong"):
                wrong.append(f"{damage.__name__} {name}: {verdict}")
    tell(f"{sum(tried.values())} damages: {', '.join(f'{count} {what}' for what, count in sorted(tried.items()))}")
    assert not wrong, "\n".join(wrong)


def chosen(kind: str, names: list[str]) -> list[tuple[str, Damage]]:
    if DEEP:
        return [(name, damage) for name in names for damage in DAMAGES]
    chance = random.Random(f"{SEED} {kind}")
    return [(chance.choice(names), damage) for damage in chance.sample(DAMAGES, 2)]


def struck(world: World, kind: str, name: str, names: list[str], damage: Damage, chance: random.Random) -> str:
    """ "named", "mended", "refused", "harmless" or "same" (nothing was changed); else what is wrong."""
    place = name.partition("/")[0]
    brothers = [one for one in names if one != name]
    brother = world.at / chance.choice(brothers) if brothers else None
    try:
        damage(world.at / name, brother, chance)
        if damage is not removed and (world.at / name).read_bytes() == (world.good / name).read_bytes():
            return "same"
        verdict = LOOKS[place](world, kind, name)
        believed = verdict == "harmless" and kind in SEALED and damage is not removed
        return "wrong: believed, though its token does not fit" if believed else verdict
    finally:
        world.again(place)
        if place in ("w1-memory", "w1-out"):
            world.again("w1-memory" if place == "w1-out" else "w1-out")


def published(world: World, kind: str, name: str) -> str:
    storage, path = open_storage(str(world.at / "public")), name.removeprefix("public/")
    report = check(storage, world.line.world.store, world.line.world.ledger, "cdn")
    told = {*report.damaged, *report.strangers}
    told |= {path} if any(path.startswith(f"{one}/") for one in told) else set()  # a line that is gone: its size
    if path not in told and not (kind == "tuf root" and "metadata/root.json" in told):
        return "harmless" if kind == "stranger" or needless(world, kind, name) else f"wrong: not named, but {told}"
    mend(storage, world.line.world.store, report)
    if kind in ("tuf root", "tuf list", "timestamp", "witness's line", "stranger"):
        return "named"
    same = (world.at / name).exists() and (world.at / name).read_bytes() == (world.good / name).read_bytes()
    return "mended" if same else "wrong: named, and not mended"


def needless(world: World, kind: str, name: str) -> bool:
    """What a new consumer does without: the newest line, for peers; a line end behind metadata that is signed."""
    trust = TrustSettings(str(world.at / "new"), world.line.first)
    opt, now = str(world.at / "opt2"), world.line.world.now
    try:
        install(str(world.at / "public"), "core", channel="dev", into=opt, trust=trust, at=now)
    except CasstoreError:
        return False
    finally:
        for place in ("new", "opt2"):
            shutil.rmtree(world.at / place, ignore_errors=True)
    if not (world.at / name).exists():
        return "cosignatures/newest" in name
    if not kind.startswith(("tuf", "timestamp")):
        return False
    with contextlib.suppress(ValueError):
        return bool(json.loads((world.at / name).read_bytes()) == json.loads((world.good / name).read_bytes()))
    return False


def witnessed(world: World, _kind: str, _name: str) -> str:
    """A witness signs the truth or nothing, and calls nobody a liar."""
    before = len(list((world.at / "w1-memory").glob("evidence/*")))
    try:
        report = world.line.witness("w1")
    except CasstoreError as exc:
        return "refused" if exc.exit_code in (3, 4, 7, 8) and not accused(world, before) else f"wrong: {exc.message}"
    if accused(world, before):
        return "wrong: somebody was accused"
    shown = checkpoints.parse((world.at / "public/ledger/checkpoint").read_bytes())[0]
    line = next((world.at / "w1-out").rglob(f"ledger/cosignatures/{shown.size}/*")).read_bytes()
    cosignatures.time_of(line, asked(1, "w1").keys[0].key, shown)
    return "harmless" if report.size == shown.size else "wrong: it signed something else"


def accused(world: World, before: int) -> bool:
    return len(list((world.at / "w1-memory").glob("evidence/*"))) != before


def consumed(world: World, _kind: str, _name: str) -> str:
    seen = world.line.seen
    try:
        report = world.line.verify(source=world.at / "public", state="me")
    except CasstoreError as exc:
        return "refused" if exc.exit_code in (3, 4, 7) else f"wrong: ended with {exc.exit_code}: {exc.message}"
    if (version := report.to_json()["version"]) != "1.1.0":
        return f"wrong: it saw {version}"
    return "harmless" if seen("me") > 0 else "wrong: it forgot what it saw"


def put_in_force(world: World, kind: str, name: str) -> str:
    try:
        report = verify_installed(str(world.at / "opt"), trust=world.trust, at=world.line.world.now)
    except NoSuchObject as exc:
        return "refused" if kind in ("receipt", "installed manifest") else f"wrong: {exc.message}"
    except CasstoreError as exc:
        return "refused" if exc.exit_code in (3, 4, 7) else f"wrong: ended with {exc.exit_code}: {exc.message}"
    finally:
        world.again("me")
    if kind in ("installed", "installed manifest"):
        return f"wrong: {name} was not named"
    return "harmless" if report.receipt.version == "1.1.0" else "wrong: another receipt was believed"


LOOKS: Mapping[str, Callable[[World, str, str], str]] = {
    "public": published,
    "w1-memory": witnessed,
    "w1-out": witnessed,
    "me": consumed,
    "opt": put_in_force,
}
