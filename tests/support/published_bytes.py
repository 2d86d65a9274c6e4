"""What a consumer reads of a publication, and a gate of a forge, as functions of bytes that keep a law.

Each takes the file as it is served, then with what a publisher who means harm would put beside it: signatures over
metadata, hashes of pieces. So what lies behind them is reached too.

    tuf(b"timestamp\n" + metadata); pieces(b"tar.gz\n" + b'{"archive":..}\n' + archive); forge(b"gitlab\n" + answers)
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import runpy
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from securesystemslib.formats import encode_canonical

from attest.digests import Digest, sha256
from attest.errors import CasstoreError
from bundlers import formats
from bundlers.consuming.tuf_client import TufClient, numbers_seen, times_in_date
from bundlers.formats.pieces import Pieces, measure
from bundlers.gates.forges import FORGES
from bundlers.gates.forges.client import Client, _parsed
from bundlers.installing import partial
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductManifest
from bundlers.products.reader import ProductReader
from casstore.errors import NoSuchObject
from casstore.network.network import NetworkGuard

KINDS = ("tar.gz", "tar.zst", "zip")
BETWEEN = b"\n--\n"
"""Parts the answers of a forge; who asks more often hears the last one again."""
_HELD = "lib/held.so"
CONTENTS = {
    "bin/core": b"text that gets much smaller " * 15_000,
    _HELD: b"what is there already " * 14_000,
    "share/empty": b"",
}
_ROLES = {"timestamp": "timestamp.json", "snapshot": "7.snapshot.json", "targets": "7.targets.json"}
_ROLES["root"] = "2.root.json"
_IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None


@cache
def _made() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).parents[1] / "formats" / "make_publish.py"))


@cache
def metadata() -> dict[str, bytes]:
    """The golden publication, with a second root by the same key."""
    files: dict[str, bytes] = dict(_made()["metadata"]())
    root = json.loads(files["1.root.json"])["signed"]
    return {**files, "2.root.json": _signed({**root, "version": 2})}


@cache
def _key() -> tuple[ed25519.Ed25519PrivateKey, str]:
    """The publisher's, and how metadata names it."""
    (name,) = json.loads(_made()["metadata"]()["1.root.json"])["signed"]["keys"]
    return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"publisher").digest()), name


def _signed(signed: Any) -> bytes:
    """As the publisher signs it, whatever it is. Raises ValueError for what has no canonical form."""
    key, name = _key()
    try:
        signature = key.sign(encode_canonical(signed).encode()).hex()
    except Exception as exc:
        raise ValueError from exc
    return json.dumps({"signatures": [{"keyid": name, "sig": signature}], "signed": signed}).encode()


class _Mirror:
    """Serves a dictionary."""

    url, remote = "memory", False

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def chunks(self, path: str) -> Iterator[bytes]:
        if path not in self._files:
            raise NoSuchObject(path)
        return iter([self._files[path]])

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:
        return iter([self._files[path][start:end]])


def tuf(data: bytes) -> None:
    """Metadata of one role, named by the first line. What the publisher did not sign changes nothing."""
    name, _, served = data.partition(b"\n")
    file = _ROLES.get(name.decode("latin-1"), "timestamp.json")
    with suppress(ValueError, RecursionError, CasstoreError):
        value = json.loads(served)
        if isinstance(value, dict) and isinstance(value.get("signed"), dict):
            _refreshed(_below(file, _signed(value["signed"])))
    _refreshed({file: served})
    before, now = (json.loads(raw)["signed"] for raw in (metadata()[file], served))
    assert before == now, "what nobody signed is believed"


def _below(file: str, served: bytes) -> dict[str, bytes]:
    """The file, and signed anew what leads to it."""
    found = {file: served}
    for above, what in (("7.snapshot.json", "targets.json"), ("timestamp.json", "snapshot.json")):
        if file.endswith(what) and file != above:
            signed = json.loads(metadata()[above])["signed"]
            meta = {"version": 7, "length": len(served), "hashes": {"sha256": hashlib.sha256(served).hexdigest()}}
            found[above] = served = _signed({**signed, "meta": {what: meta}})
            file = above
    return found


def _refreshed(changed: dict[str, bytes]) -> None:
    made = _made()
    files = {**metadata(), **changed}
    if "2.root.json" not in changed:
        del files["2.root.json"]
    reader = _Mirror({f"metadata/{name}": found for name, found in files.items()})
    with TemporaryDirectory(dir=_IN_MEMORY) as folder:
        try:
            client = TufClient(reader, folder=f"{folder}/tuf", root=files["1.root.json"], at=made["NOW"])
            client.refresh()
            assert client.valid_until > made["NOW"] and client.version == client.numbers[0] and client.root
            for path in ("channels/prod.json", "nothing"):
                with suppress(CasstoreError):
                    assert client.info(path).length >= 0
                with suppress(CasstoreError):
                    assert sha256(client.read(path)) == client.info(path).digest
        finally:
            assert min(numbers_seen(f"{folder}/tuf")) >= 0
            with suppress(CasstoreError):
                times_in_date(reader, folder, files["1.root.json"])


def forge(data: bytes) -> None:
    """The first line names the forge; then its answers, one after the other."""
    name, _, rest = data.partition(b"\n")
    kind = name.decode("latin-1")
    answers = rest.split(BETWEEN)
    told = iter(answers)

    class Answering(Client):
        def get(self, path: str) -> Any:
            return _parsed(next(told, answers[-1]), path)

    module = import_module(FORGES.get(kind, FORGES["gitlab"]))
    found = module.protection(Answering("https://forge.example", {}, NetworkGuard()), "example/shop", "a" * 60)
    assert isinstance(found.protected, bool) and all(isinstance(check, str) for check in found.checks)


def manifest(kind: str) -> ProductManifest:
    """A product whose archive has several pieces."""
    files = [ProductFile(path, 0o644, len(data), sha256(data), component="c") for path, data in CONTENTS.items()]
    files.append(ProductFile("bin/alias", link="core", component="c"))
    ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
    return ProductManifest("core", kind, {"c": ComponentTree(sha256(b"tree"), time=1_767_225_600)}, ordered)


class _Blobs:
    def chunks(self, digest: Digest) -> Iterator[bytes]:
        yield next(data for data in CONTENTS.values() if sha256(data) == digest)

    def chunks_of(self, wanted: Sequence[Digest]) -> Iterator[Iterator[bytes]]:
        return map(self.chunks, wanted)


def published(kind: str) -> bytes:
    """What `pieces` takes: the kind, its pieces as published, the archive."""
    out, made = io.BytesIO(), manifest(kind)
    formats.write(made, ProductReader(_Blobs(), made), out)
    found = measure(made, io.BytesIO(out.getvalue()), sha256(out.getvalue()))
    assert found is not None
    return b"\n".join((kind.encode(), found.to_bytes(), out.getvalue()))


def pieces(data: bytes) -> None:
    """What comes out of pieces are the files of the ProductManifest, or it is refused."""
    name, _, rest = data.partition(b"\n")
    document, _, archive = rest.partition(b"\n")
    kind = name.decode("latin-1")
    made = manifest(kind if kind in KINDS else "tar.gz")
    told = Pieces.parse(document)
    assert told.to_bytes() == document
    with suppress(CasstoreError):
        _unpacked(made, told, archive)
    _unpacked(made, _fitting(made, told, archive), archive)


def _fitting(made: ProductManifest, told: Pieces, archive: bytes) -> Pieces:
    """With the hashes that these bytes have."""
    units = partial.Layout(made, told).units
    found = (hashlib.sha256(archive[unit.start : unit.end]).hexdigest() for unit in units)
    return replace(told, hashes=tuple(found))


def _unpacked(made: ProductManifest, told: Pieces, archive: bytes) -> None:
    with TemporaryDirectory(dir=_IN_MEMORY) as folder:
        held = {sha256(CONTENTS[_HELD]): f"{folder}/held"}
        Path(f"{folder}/held").write_bytes(CONTENTS[_HELD])
        plan = partial.plan_for(made, told, held, len(archive))
        plan = plan or partial.Plan(made, layout := partial.Layout(made, told), layout.units, held)
        rows = partial.unpack(plan, lambda start, end: iter([archive[start:end]]), folder)
        for file, chunks in rows:
            content = b"".join(chunks)
            assert file.digest is None or sha256(content) == file.digest
