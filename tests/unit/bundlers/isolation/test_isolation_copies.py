"""Parts of files: copies at any offset, programs stripped or signed, references, caps and the cache."""

from __future__ import annotations

import gzip
import random
import shutil
import sqlite3
import struct
import subprocess
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import BadInput
from bundlers import isolation
from bundlers.inspection import fingerprints, variants
from bundlers.isolation import IsolationReport, Settings
from bundlers.isolation.reports import Common
from bundlers.isolation.scans import reopening, scanning
from bundlers.products import manifest_building
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore.store.store import Store

RANDOM = random.Random(7)
DEFAULT = Settings()


def noise(size: int) -> bytes:
    return RANDOM.randbytes(size)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


def tree(store: Store, tmp_path: Path, files: dict[str, bytes]) -> ComponentTree:
    folder = tmp_path / f"in-{RANDOM.getrandbits(64):x}"
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return ComponentTree(store.put_tree(str(folder)).tree)


def compare(
    store: Store, tmp_path: Path, settings: Settings = DEFAULT, **products: dict[str, bytes]
) -> IsolationReport:
    manifests = {
        name: manifest_building.build(store, name, "tar.gz", {name: tree(store, tmp_path, files)})
        for name, files in products.items()
    }
    return isolation.check(store, isolation.Contents.each(manifests), settings)


@given(
    before=st.integers(0, 70_000),
    after=st.integers(0, 2000),
    there=st.integers(0, 70_000),
    pieces=st.integers(1, 9000),
    seed=st.integers(0, 2**32),
)
def test_512_equal_bytes_have_a_fingerprint_in_common(
    before: int, after: int, there: int, pieces: int, seed: int
) -> None:
    source = random.Random(seed)
    copied = source.randbytes(512)
    one = source.randbytes(before) + copied + source.randbytes(after)
    two = source.randbytes(there) + copied
    cut = [two[at : at + pieces] for at in range(0, len(two), pieces)]
    assert set(fingerprints.of([one]).hashes.tolist()) & set(fingerprints.of(cut).hashes.tolist())


@given(data=st.binary(max_size=5000), cuts=st.lists(st.integers(0, 5000), max_size=5))
def test_fingerprints_do_not_depend_on_the_pieces(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(places)]
    whole, cut = fingerprints.of([data]), fingerprints.of(pieces)
    assert whole.to_bytes() == cut.to_bytes()
    again = fingerprints.Prints.from_bytes(*whole.to_bytes())
    assert (again.offsets == whole.offsets).all() and (again.hashes == whole.hashes).all()


@pytest.mark.parametrize("at", [0, 1, 777, 65_000, 130_001])
def test_a_copy_is_found_at_any_offset_and_measured(store: Store, tmp_path: Path, at: int) -> None:
    agent = noise(200_000)
    core = noise(at) + agent[5000:5512] + noise(300)
    report = compare(store, tmp_path, core={"core.bin": core}, agent={"bin/agent": agent})
    (found,) = report.found
    assert (found.kind, found.product_a, found.path_a) == ("copy", "agent", "bin/agent")
    assert (found.product_b, found.path_b) == ("core", "core.bin")
    (part,) = found.stretches
    assert (part.at_a, part.at_b) == (5000, at)
    assert part.length == found.size == 512
    assert f"at byte {at}" in found.told


def test_less_than_the_threshold_is_no_finding(store: Store, tmp_path: Path) -> None:
    agent = noise(20_000)
    report = compare(store, tmp_path, core={"c": noise(900) + agent[:500] + noise(900)}, agent={"a": agent})
    assert not report.findings


@pytest.mark.parametrize("common", [bytes(100_000), b"ab" * 50_000, b"\1\0\0\0\0\0\0\0" * 9000])
def test_padding_is_no_evidence(store: Store, tmp_path: Path, common: bytes) -> None:
    report = compare(store, tmp_path, a={"a": noise(600) + common}, b={"b": common + noise(700)})
    assert not report.findings


def test_settings_say_how_much_is_a_copy(store: Store, tmp_path: Path) -> None:
    agent = noise(50_000)
    files = {"a": {"a": agent}, "b": {"b": agent[:2000] + noise(100) + agent[9000:11_000]}}
    assert compare(store, tmp_path, **files).found[0].size == 4000
    assert not compare(store, tmp_path, Settings(min_copy=2001), **files).found
    assert not compare(store, tmp_path, Settings(copies="off"), **files).found
    text = bytes(RANDOM.choice(b"abcd") for _ in range(3000))
    files = {"a": {"a": text}, "b": {"b": b"x" + text}}
    assert not compare(store, tmp_path, Settings(min_entropy=2.1), **files).found
    assert compare(store, tmp_path, Settings(min_entropy=1.9), **files).found


def test_a_copy_inside_a_packed_member_is_found_and_named(store: Store, tmp_path: Path) -> None:
    import io
    import tarfile

    agent = noise(9000)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("data/blob")
        info.size = 8000
        tar.addfile(info, io.BytesIO(agent[1000:]))
    report = compare(store, tmp_path, core={"x.tgz": out.getvalue()}, agent={"a": agent})
    (found,) = report.findings
    assert found.path_b.startswith("x.tgz!")
    assert found.size == 8000


def test_members_of_one_name_are_told_apart(store: Store, tmp_path: Path) -> None:
    import io
    import tarfile

    agent = noise(9000)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for data in (noise(3000), noise(500) + agent[:5000], noise(3000)):
            info = tarfile.TarInfo("same")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    report = compare(store, tmp_path, core={"x.tgz": out.getvalue()}, agent={"a": agent})
    (found,) = report.findings
    assert found.size == 5000


def test_many_large_copies_are_measured_with_little_held(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reopening, "_HELD", 100_000)
    monkeypatch.setattr(reopening, "_SPOOL", 30_000)
    agents = {f"a{n}": noise(50_000) for n in range(6)}
    packed = b"".join(ar_member(f"m{n}", noise(100) + data[1000:]) for n, data in enumerate(agents.values()))
    report = compare(store, tmp_path, core={"x.a": zstandard.compress(b"!<arch>\n" + packed)}, agent=agents)
    assert [found.size for found in report.findings] == [49_000] * 6


def ar_member(name: str, data: bytes) -> bytes:
    head = f"{name + '/':16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
    return head + data + b"\n" * (len(data) % 2)


def test_references_are_taken_out_and_listed(store: Store, tmp_path: Path) -> None:
    runtime = noise(60_000)
    reference = tree(store, tmp_path, {"lib/runtime.so": runtime})
    files = {
        "a": {"a": noise(900) + runtime[:50_000], "runtime.so": runtime, "own": noise(400_000)},
        "b": {"b": runtime[10_000:] + noise(3000), "lib": runtime, "own": noise(400_000)},
    }
    assert compare(store, tmp_path, **files).findings
    settings = Settings.parse({"references": {"the runtime": reference.tree}})
    report = compare(store, tmp_path, settings, **files)
    assert not report.findings
    assert report.to_json()["parameters"]["references"] == {"the runtime": reference.tree}
    agent = noise(4000)
    leaking = {
        "a": {"a": runtime + agent, "own": noise(400_000)},
        "b": {"b": runtime[10_000:] + agent, "own": noise(400_000)},
    }
    (found,) = compare(store, tmp_path, settings, **leaking).findings
    assert found.size == 4000, "all of the leak and nothing of the runtime, whose edges no fingerprint holds"


@pytest.mark.parametrize("_", range(8))
def test_what_a_shared_component_holds_may_stand_in_any_file(store: Store, tmp_path: Path, _: int) -> None:
    """Wherever fingerprints fall: its first and last bytes, which none covers, are too few to be a copy."""
    text = " ".join(f"word{RANDOM.getrandbits(20)}" for _ in range(400)).encode()
    licence = ComponentTree(tree(store, tmp_path, {"LICENSE": text}).tree, "all ship it")
    manifests = {
        name: manifest_building.build(
            store, name, "zip", {name: tree(store, tmp_path, {name: noise(800) + text}), "l": licence}
        )
        for name in ("one", "two")
    }
    report = isolation.check(store, isolation.Contents.each(manifests), Settings())
    assert not report.found
    assert report.common == (Common("one", "two", "l", "all ship it", 1, len(text)),)
    assert report.between("two", "one") == ([report.common[0]], [])


def built(store: Store, **products: dict[str, ComponentTree]) -> dict[str, ProductManifest]:
    return {name: manifest_building.build(store, name, "zip", trees) for name, trees in products.items()}


LIBRARY = noise(5000)
TAKEN = {
    "file": LIBRARY,
    "nested": gzip.compress(LIBRARY, mtime=0),
    "copy": noise(1000) + LIBRARY[100:4000] + noise(1000),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_who_does_not_list_a_shared_component_may_carry_nothing_of_it(store: Store, tmp_path: Path, kind: str) -> None:
    library = ComponentTree(tree(store, tmp_path, {"lib.so": LIBRARY, "notes": noise(700)}).tree, "the two speak by it")
    manifests = built(
        store,
        agent={"agent": tree(store, tmp_path, {"agent": noise(900)}), "library": library},
        core={"core": tree(store, tmp_path, {"core": noise(900) + LIBRARY[:3000]}), "library": library},
        other={"other": tree(store, tmp_path, {"theirs": TAKEN[kind]})},
    )
    report = isolation.check(store, isolation.Contents.each(manifests), Settings())
    assert {(found.kind, found.product_a, found.product_b) for found in report.findings} >= {
        (kind, "agent", "other"),
        (kind, "core", "other"),
    }
    assert all("other" in (found.product_a, found.product_b) for found in report.findings), "agent and core may"
    assert all("theirs" in (found.path_a + found.path_b) for found in report.findings)
    assert [(row.product_a, row.product_b, row.source) for row in report.common] == [("agent", "core", "library")]


def test_variants_of_a_shared_program_are_for_those_who_list_it(store: Store, tmp_path: Path) -> None:
    code = noise(3000)
    shared = ComponentTree(tree(store, tmp_path, {"tool": elf(code, build_id=b"x" * 20)}).tree, "both run it")
    stripped = {"stripped": elf(code, build_id=b"x" * 20, extra=noise(600))}
    manifests = built(
        store,
        one={"one": tree(store, tmp_path, stripped), "tool": shared},
        two={"two": tree(store, tmp_path, {"two": noise(900)}), "tool": shared},
        three={"three": tree(store, tmp_path, {"renamed": stripped["stripped"] + noise(10)})},
    )
    found = isolation.check(store, isolation.Contents.each(manifests), Settings()).findings
    pairs = {frozenset((one.product_a, one.product_b)) for one in found}
    assert pairs == {frozenset(("one", "three")), frozenset(("two", "three"))}


def test_a_component_that_one_product_lists_is_shared_with_nobody(store: Store, tmp_path: Path) -> None:
    lonely = ComponentTree(tree(store, tmp_path, {"lib.so": LIBRARY}).tree, "some day others may")
    manifests = built(store, one={"l": lonely}, two={"two": tree(store, tmp_path, {"x": LIBRARY})})
    (found,) = isolation.check(store, isolation.Contents.each(manifests), Settings()).findings
    assert (found.kind, found.path_a, found.path_b) == ("file", "lib.so", "x")


def test_the_same_bytes_in_two_shared_components_join_no_products(store: Store, tmp_path: Path) -> None:
    first = ComponentTree(tree(store, tmp_path, {"a": LIBRARY}).tree, "one and two")
    second = ComponentTree(tree(store, tmp_path, {"b": LIBRARY}).tree, "two and three")
    manifests = built(store, one={"f": first}, two={"f": first, "s": second}, three={"s": second})
    found = isolation.check(store, isolation.Contents.each(manifests), Settings()).findings
    assert {(one.product_a, one.product_b) for one in found} == {("one", "three")}


def test_an_unchanged_blob_is_not_read_twice(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a": {"a": noise(9000)}, "b": {"b": noise(9000)}}
    first = compare(store, tmp_path, **files)
    opened = []
    real = store.open_blob
    monkeypatch.setattr(store, "open_blob", lambda digest: opened.append(digest) or real(digest))
    assert compare(store, tmp_path, **files).to_json() == first.to_json()
    assert not opened
    compare(store, tmp_path, Settings(max_depth=1), **files)
    assert len(opened) == 2


@pytest.mark.parametrize("harm", ["rows", "file", "folder"])
def test_a_damaged_cache_is_as_good_as_none(store: Store, tmp_path: Path, harm: str) -> None:
    agent = noise(9000)
    files = {"a": {"a": agent}, "b": {"b": b"x" + agent}}
    first = compare(store, tmp_path, **files)
    cache = tmp_path / "store" / "index" / "isolation.sqlite"
    shutil.rmtree(cache.with_suffix(""))  # of both products: else nothing is asked of the other cache
    if harm == "rows":
        with sqlite3.connect(cache) as door:
            door.execute("UPDATE scans SET data = zeroblob(200)")
        door.close()
    for path in cache.parent.glob("isolation.sqlite*") if harm != "rows" else []:
        path.unlink()
    if harm == "file":
        cache.write_bytes(noise(5000))
    if harm == "folder":
        cache.mkdir()
    assert compare(store, tmp_path, **files).to_json() == first.to_json()


def test_the_result_does_not_depend_on_workers_or_order(store: Store, tmp_path: Path) -> None:
    agent = noise(40_000)
    files = {f"f{n}": agent[n * 1000 : n * 1000 + 1500] + noise(600) for n in range(20)}
    manifests = {
        name: manifest_building.build(store, name, "zip", {name: tree(store, tmp_path, held)})
        for name, held in {"core": files, "agent": {"agent": agent}, "probe": {"p": noise(5000)}}.items()
    }
    results = []
    for workers, names in ((1, list(manifests)), (2, list(manifests)[::-1]), (8, sorted(manifests))):
        (tmp_path / "store" / "index" / "isolation.sqlite").unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "store" / "index" / "isolation", ignore_errors=True)
        report = isolation.check(
            store, isolation.Contents.each({name: manifests[name] for name in names}), Settings(), workers=workers
        )
        results.append(report.to_json())
    assert results[0] == results[1] == results[2]
    assert len(results[0]["found"]) == 20


@pytest.mark.parametrize(
    "table",
    [
        {"min_copy": 511},
        {"copies": "maybe"},
        {"unopened": True},
        {"references": {"x": "not a digest"}},
        {"references": ["x"]},
        {"min_entropy": 9},
        {"max_depth": True},
        {"min_sise": 1},
    ],
)
def test_settings_are_checked(table: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="isolation"):
        Settings.parse(table)


def elf(code: bytes, *, build_id: bytes = b"", extra: bytes = b"") -> bytes:
    """A small ELF64 with an executable section, perhaps a build-id note, and other bytes."""
    note = struct.pack("<3I", 4, len(build_id), 3) + b"GNU\0" + build_id if build_id else b""
    at_note, at_extra = 64 + len(code), 64 + len(code) + len(note)
    table = at_extra + len(extra)
    rows = [(1, 6, 64, len(code)), (7, 2, at_note, len(note)), (1, 0, at_extra, len(extra))]
    sections = b"".join(struct.pack("<2I4Q2I2Q", 0, k, f, 0, start, size, 0, 0, 1, 0) for k, f, start, size in rows)
    head = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<2HI3QI6H", 2, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 0)
    return head + code + note + extra + sections


def pe(code: bytes, *, checksum: int = 0, certificate: bytes = b"") -> bytes:
    """A small PE32+ with one section, perhaps signed."""
    body = 512 + len(code)
    optional = bytearray(240)
    struct.pack_into("<H", optional, 0, 0x20B)
    struct.pack_into("<I", optional, 64, checksum)
    struct.pack_into("<2I", optional, 144, body if certificate else 0, len(certificate))
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0"
    head += struct.pack("<2H3I2H", 0x8664, 1, 0, 0, 0, 240, 0x22) + optional
    head += b".text\0\0\0" + struct.pack("<6I2HI", len(code), 4096, len(code), 512, 0, 0, 0, 0, 0x60000020)
    return head.ljust(512, b"\0") + code + certificate


CODE = bytes(RANDOM.choice(b"\x90\x48\x89\xe5\xc3\x0f") for _ in range(900))


@pytest.mark.parametrize(
    ("one", "two", "mark"),
    [
        (elf(CODE, extra=noise(900)), elf(CODE), "elf-code"),
        (elf(CODE, build_id=b"12345678abcd"), elf(CODE[::-1], build_id=b"12345678abcd"), "build-id"),
        (pe(CODE), pe(CODE, checksum=77, certificate=noise(600)), "pe-image"),
    ],
)
def test_variants_of_a_program_are_known(store: Store, tmp_path: Path, one: bytes, two: bytes, mark: str) -> None:
    assert any(found.startswith(mark) for found in variants.marks(one) & variants.marks(two))
    report = compare(store, tmp_path, Settings(copies="off"), core={"a": one}, agent={"b": two})
    (found,) = report.findings
    assert found.kind == "variant"


@given(data=st.binary(max_size=300), head=st.sampled_from([b"\x7fELF\2\1", b"\x7fELF\1\2", b"MZ" + bytes(58)]))
def test_broken_programs_have_no_marks_and_do_no_harm(data: bytes, head: bytes) -> None:
    variants.marks(head + data)


@given(cut=st.integers(0, 1400), at=st.integers(0, 250), to=st.binary(min_size=1, max_size=8))
def test_harmed_programs_do_no_harm(cut: int, at: int, to: bytes) -> None:
    for whole in (elf(CODE, build_id=b"12345678"), pe(CODE, certificate=b"c" * 99)):
        harmed = bytearray(whole[: len(whole) - cut])
        harmed[at : at + len(to)] = to
        variants.marks(bytes(harmed))


@pytest.mark.foreign
@pytest.mark.skipif(not all(map(shutil.which, ("gcc", "strip"))), reason="gcc and strip are not installed")
def test_a_program_of_gcc_is_known_when_strip_was_at_it(tmp_path: Path) -> None:
    source = "int main(void){return 0;}\n" + "".join(f"int f{n}(int a){{return a*{n}+{n};}}\n" for n in range(90))
    (tmp_path / "a.c").write_text(source)
    subprocess.run(["gcc", "-g", "-o", "a", "a.c"], cwd=tmp_path, check=True)
    subprocess.run(["strip", "-o", "b", "a"], cwd=tmp_path, check=True)
    one, two = (variants.marks((tmp_path / name).read_bytes()) for name in ("a", "b"))
    assert any(mark.startswith("elf-code") for mark in one & two)


def test_a_scan_says_the_same_from_the_cache(store: Store) -> None:
    packed = zlib.compress(b"x") + noise(3000)
    digest = store.put_bytes(packed)
    first = dict(scanning.scan(store, [(digest, len(packed))], Settings()))
    assert dict(scanning.scan(store, [(digest, len(packed))], Settings())) == first
