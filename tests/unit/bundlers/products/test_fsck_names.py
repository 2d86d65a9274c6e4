"""fsck of a store with releases: what each damaged or missing object is needed by, and a mending that ends the talk."""

from __future__ import annotations

import shutil
from pathlib import Path

from attest.digests import Digest, sha256
from casstore.fsck import fsck, repair
from casstore.store.store import Store
from tests.support.lines import FILES, Line


def _spoil(url: str, holding: bytes) -> Path:
    """The pack that holds these bytes uncompressed, one of them changed; else the one that has the object."""
    with Store.open(url) as store:
        located = store.catalog.locate(bytes.fromhex(sha256(holding).removeprefix("sha256:")))
        assert located is not None
        path = Path(store.url, "packs", located.pack.hex()[:2], located.pack.hex() + ".pack")
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    return path


def _needed(store: Store) -> dict[Digest, tuple[str, ...]]:
    return {one.object: one.needed_by for one in fsck(store).damaged if one.object is not None}


def test_what_a_damaged_pack_held_is_named_by_component_release_and_path(tmp_path: Path) -> None:
    line = Line.make(tmp_path)
    line.put("1.0.0")
    line.ship("1.0.0")
    url = line.store.url
    shutil.copytree(url, tmp_path / "copy", ignore=shutil.ignore_patterns("index"))
    line.store.close()
    library = FILES["core/lib/libcore.so.1"]
    _spoil(url, library)
    with Store.open(url) as store, Store.open(str(tmp_path / "copy")) as copy:
        told = _needed(store)
        assert "component core-bin of 1.0.0: core/lib/libcore.so.1" in told[sha256(library)]
        assert "component core-bin of release 1.0.0: core/lib/libcore.so.1" in told[sha256(library)]
        assert repair(store, copy).ok


def test_what_is_needed_and_gone_is_missed_by_name_even_without_an_index(tmp_path: Path) -> None:
    line = Line.make(tmp_path)
    for data in FILES.values():  # in packs of their own: what lies with its tree is gone with it
        line.store.put_bytes(data)
    line.put("1.0.0")
    line.ship("1.0.0")
    url = line.store.url
    shutil.copytree(url, tmp_path / "copy", ignore=shutil.ignore_patterns("index"))
    line.store.close()
    seen: set[Digest] = set()
    for path in sorted(Path(tmp_path, "copy", "packs").rglob("*.pack")):
        shutil.rmtree(Path(url, "index"), ignore_errors=True)
        gone = Path(url) / path.relative_to(tmp_path / "copy")
        gone.unlink()
        with Store.open(url) as store, Store.open(str(tmp_path / "copy")) as copy:
            report = fsck(store)
            missed, damaged = [one for one in report.damaged if one.object is not None], bool(report.damaged)
            assert all(one.needed_by for one in missed)
            seen.update(one.object for one in missed if one.object is not None)
            report = repair(store, copy)
            assert report.ok, report.damaged
            assert bool(report.mended) == damaged
    assert seen >= {sha256(data) for data in FILES.values()}
