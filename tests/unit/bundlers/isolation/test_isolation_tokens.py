"""What is kept of a product between checks: it changes no report, and spares the look at what nobody shares."""

from __future__ import annotations

import io
import os
import random
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.digests import Digest, sha256
from bundlers import isolation
from bundlers.inspection.units import Member, Unit
from bundlers.isolation import Contents, IsolationReport, Settings
from bundlers.isolation.scans import tokens
from bundlers.isolation.scans.scan_cache import ScanCache
from bundlers.isolation.scans.scanning import Scan
from bundlers.isolation.scans.tokens import Tokens
from bundlers.products import manifest_building
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore.store.store import Store

RANDOM = random.Random(23)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.init(str(tmp_path / "store")) as made:
        yield made


def noise(size: int) -> bytes:
    return RANDOM.randbytes(size)


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return packed.getvalue()


def product(store: Store, tmp_path: Path, name: str, files: dict[str, bytes], **more: object) -> ProductManifest:
    folder = tmp_path / f"in-{RANDOM.getrandbits(64):x}"
    folder.mkdir()
    for path, data in files.items():
        (folder / path).write_bytes(data)
    tree = ComponentTree(store.put_tree(str(folder)).tree)
    return manifest_building.build(store, name, "tar.gz", {name: tree}, **more)  # type: ignore[arg-type]


def tree(store: Store, tmp_path: Path, files: dict[str, bytes]) -> Digest:
    return product(store, tmp_path, "tree", files).components["tree"].tree


def told(report: IsolationReport) -> tuple[object, ...]:
    return report.to_json(), report.found, report.unopened, report.common, report.sizes, report.references


def test_what_is_kept_changes_no_report(store: Store, tmp_path: Path) -> None:
    """Files, members, copies, secrets, rules, what cannot be opened and references, each time one side is another."""
    shared, licence, runtime = noise(9000), noise(3000), noise(20_000)
    locked = b"PK\x03\x04" + noise(500)
    core = {
        "a": shared,
        "big": noise(5000) + runtime[:9000],
        "z.zip": zipped(x=licence, inner=noise(900)),
        "odd.zip": locked,
    }
    sides = [
        {"plain": noise(900)},
        {"copy": noise(100) + shared[1000:7000]},
        {"packed.zip": zipped(x=licence), "own": noise(2000)},
        {"same": shared, "r": runtime},
        {"plain": noise(900), "r": runtime[5000:] + noise(100)},
    ]
    for settings in (
        Settings(),
        Settings(references={"runtime": tree(store, tmp_path, {"r": runtime})}, min_size=1000),
        Settings(copies="off", unopened="fail"),
    ):
        for files in sides:
            made = {
                "agent": product(store, tmp_path, "agent", files, never=["secret/**", "inner"]),
                "core": product(store, tmp_path, "core", core, never=["*.pdb", "inner"]),
            }
            kept = told(isolation.check(store, Contents.each(made), settings))
            for name in ("isolation", "isolation.sqlite"):
                where = tmp_path / "store" / "index" / name
                shutil.rmtree(where) if where.is_dir() else where.unlink()
            assert told(isolation.check(store, Contents.each(made), settings)) == kept
            assert told(isolation.check(store, Contents.each(made), settings)) == kept


def test_only_what_is_common_is_looked_at(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    common = noise(4000)
    large = product(store, tmp_path, "large", {f"f{n:03}": noise(3000) for n in range(60)} | {"mine": common})
    first = {"large": large, "small": product(store, tmp_path, "small", {"s": noise(4000)})}
    assert not isolation.check(store, Contents.each(first), Settings()).found
    leaks = {"large": large, "small": product(store, tmp_path, "small", {"s": noise(70) + common[:2500]})}
    asked: list[Digest] = []
    real = ScanCache.get
    monkeypatch.setattr(ScanCache, "get", lambda cache, digest: (asked.append(digest), real(cache, digest))[1])
    (found,) = isolation.check(store, Contents.each(leaks), Settings()).findings
    assert (found.path_a, found.path_b, found.kind) == ("mine", "s", "copy")
    assert len(asked) == 2  # the small one's file, which is new, and what it has in common with the large one


@given(
    st.dictionaries(
        st.integers(0, 255),
        st.tuples(st.integers(1, 9), st.lists(st.integers(0, 20), max_size=4), st.lists(st.integers(0, 2**64 - 1))),
        max_size=6,
    ),
    st.integers(1, 5),
)
def test_tokens_hold_what_the_looks_found(files: dict[int, tuple[int, list[int], list[int]]], min_size: int) -> None:
    scans = {}
    for number, (size, members, prints) in files.items():
        raw = b"".join(one.to_bytes(8, "little") for one in prints)
        inside = tuple(Member(f"m{at}", sha256(bytes([one])), one) for at, one in enumerate(members))
        scans[sha256(b"file%d" % number)] = (
            size,
            Scan(inside, (), (Unit("", ("build-id:x",), raw, raw, size, False),)),
        )
    known = Tokens.of(scans, min_size)
    assert known.files == tuple(sorted(scans))
    for digest, (_, found) in scans.items():
        held = {tokens.token(digest), *(tokens.token(one.digest) for one in found.members)}
        held |= {
            int.from_bytes(found.units[0].hashes[at : at + 8], "little")
            for at in range(0, len(found.units[0].hashes), 8)
        }
        for one in held:
            assert digest in known.holding(tokens.array([one]))
        assert (digest in known.packed) == bool(found.members)
    counted = {tokens.token(d) for d, (size, _) in scans.items() if size >= min_size}
    counted |= {tokens.token(m.digest) for _, f in scans.values() for m in f.members if m.size and m.size >= min_size}
    assert set(known.tokens[known.contents].tolist()) == counted
    again = Tokens.from_bytes(known.files, memoryview(known.to_bytes()))
    assert again.to_bytes() == known.to_bytes()
    assert (again.packed, again.unopened) == (known.packed, known.unopened)


def test_tokens_are_stored_as_documented() -> None:
    digest, inner = sha256(b"file"), sha256(b"inner")
    unit = Unit("", (), (7).to_bytes(8, "little"), bytes(8), 4, False)
    known = Tokens.of({digest: (4, Scan((Member("m", inner, 5),), (("!x", "why"),), (unit,)))}, 5)
    rows = sorted([(7, 0), (tokens.token(digest), 0), (tokens.token(inner), 1)])
    assert known.to_bytes() == b"".join(
        [
            (3).to_bytes(8, "big"),
            *(token.to_bytes(8, "little") for token, _ in rows),
            bytes(12),
            bytes(counts for _, counts in rows),
            msgpack.packb([[0], [0]]),
        ]
    )


def test_a_leak_that_begins_like_what_anybody_may_have_is_found(store: Store, tmp_path: Path) -> None:
    """SHA-256 of the two has the same first 64 bits: who makes both finds such a pair in some minutes."""
    harmless, leak = b"48e8d65c36f440d0", b"999148e73b4695a1"
    assert tokens.token(sha256(harmless)) == tokens.token(sha256(leak)) and harmless != leak
    settings = Settings(references={"runtime": tree(store, tmp_path, {"r": harmless})})
    for files in ({"key": leak}, {"key.zip": zipped(key=leak)}):
        made = {
            "core": product(store, tmp_path, "core", files),
            "agent": product(store, tmp_path, "agent", {"k": leak}),
        }
        (found,) = isolation.check(store, Contents.each(made), settings).findings
        assert (found.digest, found.path_a) == (sha256(leak), "k")


@pytest.mark.parametrize("odd", ["pipe", "link", "folder", "short"])
def test_what_somebody_put_in_its_place_holds_nobody_up(store: Store, tmp_path: Path, odd: str) -> None:
    made = {name: product(store, tmp_path, name, {"f": noise(2000)}) for name in ("one", "two")}
    first = told(isolation.check(store, Contents.each(made), Settings()))
    for path in list((tmp_path / "store" / "index" / "isolation").iterdir()):
        path.unlink()
        if odd == "pipe":
            os.mkfifo(path)
        elif odd == "link":
            path.symlink_to("/dev/zero")
        elif odd == "folder":
            path.mkdir()
        else:
            path.write_bytes(b"x" * 7)
    assert told(isolation.check(store, Contents.each(made), Settings())) == first
