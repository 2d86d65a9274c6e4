"""Every kind of damage in every kind of file of a store that has seen a whole life: named, or proven harmless.

One flipped bit, a zeroed block, cut, emptied, appended, removed, swapped with a brother. `fsck` names the file (or, of
what can be made anew, heals it), or every question is answered as before. What it names in a ledger, a pack or a small
record comes back from another copy, byte for byte. Quick and in CI a sample of each kind of file and damage is tried,
with CASSTORE_PROFILE=deep every file. Pins, checkpoints and the steps of a collection without a ledger lie twice, so
that one of them gone is made anew from the other.
"""

from __future__ import annotations

import hashlib
import random
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from attest.digests import Digest, from_raw
from attest.errors import CasstoreError
from bundlers.audit import whence
from bundlers.isolation.scans.scan_cache import ScanCache
from bundlers.isolation.scans.token_cache import TokenCache
from casstore.errors import NoSuchStore, StoreDamaged
from casstore.fsck import fsck, mend_config, repair
from casstore.gc import collect, pins
from casstore.ledger import checkpoints, saved_state, sealed_states
from casstore.ledger.book import seen
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import fold, replay, replay_all
from casstore.ledger.states.state import LedgerState, start
from casstore.objects.kinds import Kind
from casstore.storage import open_storage
from casstore.store.store import Store
from tests.support import lived_stores
from tests.support.damages import DAMAGES, Damage, removed
from tests.support.system_calls import DEEP, SEED, tell
from tests.support.worlds import NOW, signer

STRANGERS = (
    "pins/desktop.ini",
    "packs/Thumbs.db",
    "packs/f0/copy of a.pack",
    "ledgers/main/notes.txt",
    "ledgers/Old Ledger/00000000000000000000",
    "mended/README",
    "notes.txt",
)
KINDS = {
    "pack": r"packs/../[0-9a-f]{64}\.pack",
    "entry": r"ledgers/main/\d{20}",
    "checkpoint": r"ledgers/main/checkpoints/\d{20}(\.copy)?",
    "pin": r"pins/[0-9a-f]{32}(\.copy)?",
    "step": r"collections/\d{20}(\.copy)?",
    "note": r"mended/[0-9a-f]{64}",
    "store": r"casstore\.json",
    "quarantine": r"quarantine/.*",
    "sealed state": r"states/main/\d{20}",
    "index pointer": r"index/current",
    "index data": r"index/g-\w+/data\.mdb",
    "index mark": r"index/g-\w+/mark",
    "index locks": r"index/(g-\w+/lock\.mdb|lock)",
    "stat cache": r"index/stat/[0-9a-f]{32}",
    "scan cache": r"index/isolation\.sqlite.*",
    "tokens": r"index/isolation/.*",
    "whence index": r"index/parents\.sqlite.*",
    "unfinished": r"tmp/.*",
    "stranger": "|".join(map(re.escape, STRANGERS)),
}
MENDED = {"pack", "entry", "checkpoint", "pin", "step", "note", "store"}
TWICE = {"pin", "checkpoint", "step"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


@dataclass(frozen=True)
class Lived:
    """A store as it was, and what it answered."""

    folder: Path
    good: Path
    answers: Mapping[str, Any]
    condemned: frozenset[str]
    """Packs that nobody leans on any more."""

    @property
    def root(self) -> Path:
        return self.folder / "store"

    def again(self) -> None:
        """As it was; what became of it lies aside, since taking it away costs more than all that is asked."""
        if DEEP:
            shutil.rmtree(self.root)
        else:
            self.root.rename(self.folder / f"tried-{len(list(self.folder.iterdir()))}")
        shutil.copytree(self.good, self.root)

    def files(self) -> dict[str, list[str]]:
        """Kind -> names; a file of no kind is a gap in this test."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.good.rglob("*")):
            name = str(path.relative_to(self.good))
            if path.is_file() and not re.fullmatch(r"index/isolation\.sqlite-(wal|shm)|index/g-\w+/\.held.*", name):
                kinds = [kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, name)]
                kinds = ["condemned pack"] if path.stem in self.condemned else kinds
                assert kinds, f"{name}: of what kind is it?"
                found.setdefault(kinds[0], []).append(name)
        return found


def asked(folder: Path, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything that a store is there for, of the objects that were there before. Raises CasstoreError."""
    digests, subjects = (before["objects"], before["about"]) if before else (None, None)
    told: dict[str, Any] = {}
    with Store.open(str(folder / "store")) as store:
        told["id"], told["options"] = store.store_id, store.options
        condemned = {from_raw(raw) for raw in store.catalog.condemned_digests()}
        told["objects"] = digests or [one for one in store.digests() if one not in condemned]
        told["bytes"] = {one: hashlib.sha256(store.read(Digest(one))).hexdigest() for one in told["objects"]}
        told["kinds"] = {one: store.kind(Digest(one)) for one in told["objects"]}
        trees = [one for one, kind in told["kinds"].items() if kind is Kind.TREE]
        told["trees"] = {one: list(store.walk_all(Digest(one))) for one in trees}
        about = {one: store.attestations(Digest(one)) for one in (subjects or told["objects"])}
        told["about"] = {one: found for one, found in about.items() if found}
        told["pins"] = pins.load(store)
        if (folder / "good" / "ledgers").exists():
            ledger = Ledger(store)
            told["state"] = saved_state.encode(replay_all(ledger, store).fields(), "", None)
            told["entries"] = ledger.verify().to_json()
            checkpoints.verify_all(store, ledger, whole := replay_all(ledger, store))
            assert begun_like(store, whole), "a spoilt state of a seal was believed"
            saved = replay(Ledger(store), store)
            assert saved == replace(whole, void=saved.void), "a spoilt row of a saved state was believed"
            told["whence"] = whence.origins(store, saved, contents(store, saved))
        told["put"] = store.put_tree(str(folder / "work")).tree
        scans = ScanCache(store.catalog.folder, "asked")
        told["scan"] = None
        for one in told["objects"]:
            row = scans.get(Digest(one))
            assert row in (None, {"prints": b"many"}), "a spoilt scan was believed"
        scans.close()
        kept = TokenCache(store.catalog.folder, "asked").get("core", lived_stores.TOKENS.files)
        assert kept is None or kept.to_bytes() == lived_stores.TOKENS.to_bytes(), "spoilt tokens were believed"
    return told


def contents(store: Store, state: LedgerState) -> set[Digest]:
    """What `whence` is asked: every file of every release."""
    trees = lived_stores.component_trees(state)
    return {entry.content for tree in trees for _, entry in store.walk(tree) if entry.kind == "file"}


def begun_like(store: Store, whole: LedgerState) -> bool:
    """Whether a machine that has folded nothing comes to the same state."""
    ledger = Ledger(store, cache=EntryCache())
    again = lambda count: fold(start(store.store_id, "main"), islice(ledger.entries(), count), store)  # noqa: E731
    state = sealed_states.begin(ledger, store, None, again)
    return state is None or fold(state, ledger.entries(state.count), store) == replace(whole, void=state.void)


@pytest.fixture(scope="module", params=["ledger", "loose"])
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as own:
        own.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        own.setenv("XDG_STATE_HOME", str(folder / "state"))
        root = (lived_stores.whole_line if request.param == "ledger" else lived_stores.without_ledger)(folder)
        for name in STRANGERS:
            if (root / name.partition("/")[0]).is_dir() or "/" not in name:
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_bytes(b"whose is this " * 100)
        shutil.copytree(root, folder / "good")
        with Store.open(str(folder / "good"), read_only=True) as store:
            condemned = frozenset(raw.hex() for raw in store.catalog.doomed())
        yield Lived(folder, folder / "good", asked(folder), condemned)


def test_every_damage_is_named_or_harmless(lived: Lived) -> None:
    tell(f"CASSTORE_SEED={SEED}")
    tried: dict[str, int] = {}
    wrong = []
    for kind, names in lived.files().items():
        for damage in DAMAGES if DEEP else random.Random(f"{SEED} {kind}").sample(DAMAGES, 2):
            for name in names if DEEP else chosen(kind, damage, names):
                verdict = struck(lived, kind, name, names, damage, random.Random(f"{SEED} {name} {damage.__name__}"))
                tried[verdict.partition(":")[0]] = tried.get(verdict.partition(":")[0], 0) + 1
                if verdict.startswith("wrong"):
                    wrong.append(f"{damage.__name__} {name}: {verdict}")
    tell(f"{sum(tried.values())} damages: {', '.join(f'{count} {what}' for what, count in sorted(tried.items()))}")
    assert not wrong, "\n".join(wrong)


def chosen(kind: str, damage: Damage, names: list[str]) -> list[str]:
    """One of each kind, and of entries always the newest too."""
    some = {random.Random(f"{SEED} {kind} {damage.__name__}").choice(names)}
    return sorted(some | {names[-1]} if kind == "entry" else some)


def struck(lived: Lived, kind: str, name: str, names: list[str], damage: Damage, chance: random.Random) -> str:
    """ "named", "healed", "harmless" or "same" (nothing was changed); else what is wrong."""
    lived.again()
    brothers = [one for one in names if one != name]
    brother = lived.root / chance.choice(brothers) if brothers else None
    damage(lived.root / name, brother, chance)
    if damage is not removed and (lived.root / name).read_bytes() == (lived.good / name).read_bytes():
        return "same"
    if chance.random() < 0.5 and not name.startswith("index/"):
        shutil.rmtree(lived.root / "index")
    named, healed = told(lived.root)
    if name in named and kind != "stranger":
        return mended(lived, kind, name, brother) or "named"
    if named - set(STRANGERS) and damage is removed and kind == "pack":  # nothing knows its name any more
        return mended(lived, "", name, None) or "named by what it held"
    try:
        answers = asked(lived.folder, lived.answers)
    except CasstoreError as exc:
        return f"wrong: not named, and {type(exc).__name__}: {exc.message}"
    different = [key for key, value in lived.answers.items() if answers[key] != value]
    if different:
        return f"wrong: not named, and other answers: {different}"
    if kind in TWICE and any((lived.root / one).read_bytes() != (lived.good / one).read_bytes() for one in names):
        return "wrong: harmless, and not made anew"
    return "healed" if healed else "harmless"


def told(root: Path) -> tuple[set[str], bool]:
    """(files that a check names, whether it made something anew)."""
    try:
        with Store.open(str(root)) as store:
            report = fsck(store)
    except (StoreDamaged, NoSuchStore) as exc:
        names_it = "casstore.json" in exc.message or isinstance(exc, NoSuchStore)
        return {"casstore.json"} if names_it else set(), False
    named = {one.record for one in report.damaged if one.record}
    named |= {one.object for one in report.damaged if one.object and one.needed_by}
    packs = {one.pack.removeprefix("sha256:") for one in report.damaged if one.pack}
    named |= {f"packs/{pack[:2]}/{pack}.pack" for pack in packs} | {f"mended/{pack}" for pack in packs}
    return named | set(report.strangers), bool(report.healed)


def mended(lived: Lived, kind: str, name: str, brother: Path | None) -> str:
    """What is wrong after mending; nothing when all is as it was."""
    with Store.open(str(lived.good), read_only=True) as good:
        mend_config(open_storage(str(lived.root)), good)
        with Store.open(str(lived.root)) as store:
            report = repair(store, good)
    if not report.ok:
        return f"wrong: not mended: {[(one.record, one.pack, one.what) for one in report.damaged]}"
    for path in (lived.root / name, *([brother] if brother else [])) if kind in MENDED else ():
        if path.read_bytes() != (lived.good / path.relative_to(lived.root)).read_bytes():
            return f"wrong: {path.name} was mended into other bytes"
    if asked(lived.folder, lived.answers) != lived.answers:
        return "wrong: other answers after mending"
    return ""


def test_every_strangers_file_is_named_and_none_stops_anything(lived: Lived) -> None:
    lived.again()
    strangers = {name for name in STRANGERS if (lived.good / name).exists()}
    with Store.open(str(lived.root)) as store:
        report = fsck(store)
        assert (report.ok, set(report.strangers)) == (True, strangers)
        collect(store, lived_stores.WEEK, now=NOW, signer=signer("pam"), confirm=False)


def test_what_the_users_own_folder_keeps_may_be_damaged_too(lived: Lived) -> None:
    """The secret and how far ledgers were seen: spoilt ones say nothing, and are made anew."""
    for top in ("cache", "state"):
        for path in sorted((lived.folder / top).rglob("*")):
            for damage in DAMAGES if path.is_file() else ():
                lived.again()
                raw, mode = path.read_bytes(), path.stat().st_mode
                damage(path, None, random.Random(f"{SEED} {path.name} {damage.__name__}"))
                if path.exists():
                    path.chmod(mode)
                assert asked(lived.folder, lived.answers) == lived.answers, (path, damage.__name__)
                path.write_bytes(raw)
                path.chmod(mode)
    with Store.open(str(lived.root)) as store:
        known = seen.load(store.url, store.store_id, "main")
        assert (known is not None) == (lived.good / "ledgers").exists()
