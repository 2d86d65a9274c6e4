"""Every parser of stored bytes, with what it may raise, what must hold where it does not, and real input to change.

A parser is a function of bytes that returns nothing: it raises one of `errors`, or asserts its law. The laws
are "the value's own bytes are the very bytes" (one valid encoding) or, where a format is read in part, that
whatever is read later raises documented errors only.

    for name, parser in PARSERS.items():
        parser.run(parser.seeds()[0])
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from attest import canonical
from attest.digests import Digest
from attest.errors import CasstoreError, FormatError, TooNew
from attest.log import checkpoints, log_nodes, tiles
from attest.sigstore import sigstore_bundles
from attest.statements import statements
from attest.trust import trust_roots
from bundlers.consuming import install_ids
from bundlers.consuming.state import Pins
from bundlers.installing.receipts import Receipt
from bundlers.products import checksums, product_manifests
from bundlers.publishing.layout import kit_reading
from bundlers.publishing.layout.records import ChannelRecord, LedgerProof
from casstore.errors import StoreDamaged
from casstore.fsck import part
from casstore.gc import pins
from casstore.index import rows
from casstore.index.lmdb_file import examine
from casstore.ingest.stat_cache import StatCache
from casstore.ledger import entries, release_objects, sealed_states
from casstore.ledger.entries import Entry
from casstore.ledger.states import state_records
from casstore.objects import mended, tree
from casstore.objects.pack_format import FOOTER, HEADER, Footer, Place, seal_of
from casstore.objects.pack_reader import decode_piece, object_chunks, read_table
from casstore.objects.store_config import StoreConfig

GOLDEN = Path(__file__).parent.parent / "formats" / "golden"
_ROOT = GOLDEN / "trust-root" / "1.signed.json"


@dataclass(frozen=True, slots=True)
class Parser:
    """One parser: `run` raises `errors` or nothing."""

    parse: Callable[[bytes], None]
    golden: str
    """Glob of real input below tests/formats/golden."""
    errors: tuple[type[Exception], ...] = (FormatError,)
    split: Callable[[bytes], list[bytes]] = lambda data: [data]

    def run(self, data: bytes) -> bool:
        """Whether the bytes were taken. Any other exception than the documented ones is a find."""
        try:
            self.parse(data)
        except self.errors:
            return False
        return True

    def seeds(self) -> list[bytes]:
        """Real input, sorted by file name."""
        return [part for path in sorted(GOLDEN.glob(self.golden)) for part in self.split(path.read_bytes())]


def _pack(data: bytes) -> None:
    """As it is, and with a seal that fits: so that what lies behind the seal is reached too."""
    for raw in (data, resealed(data)):
        size, name = len(raw), raw[-40:-8]
        try:
            table = read_table(lambda at, length, raw=raw: raw[at : at + length], size, name)  # type: ignore[misc]
        except (FormatError, TooNew):
            continue
        for digest, *place in table.iter_objects():
            table.find(digest)
            found = 0
            try:
                for part in object_chunks(table.pieces, Place(*place), lambda _, p: _stored(p, raw)):  # noqa: B023
                    found += len(part)
            except FormatError:
                continue
            assert found == place[3]
        for _ in table.iter_subjects():
            pass


def _stored(piece, raw: bytes) -> bytes:  # type: ignore[no-untyped-def]
    return decode_piece(piece, raw[piece.offset :][: piece.stored])


def resealed(data: bytes) -> bytes:
    """The pack with the seal of its header, table and footer, where it has these."""
    try:
        footer = Footer.parse(data[-FOOTER.size :], len(data))
    except FormatError:
        return data
    table = data[footer.table_offset : footer.table_offset + footer.table_size]
    return data[:-40] + seal_of(data[: HEADER.size], table, footer) + data[-8:]


def _checked_pack(data: bytes) -> None:
    """A check of the whole pack ends, with words; one that has none to say has met every byte."""
    for raw in (data, resealed(data)):

        def read(_: bytes, offset: int, length: int, raw: bytes = raw) -> bytes:
            return raw[offset : offset + length]

        try:
            table = read_table(lambda at, length, raw=raw: raw[at : at + length], len(raw), raw[-40:-8])  # type: ignore[misc]
        except (FormatError, TooNew):
            continue
        if list(part.whole(read, table, len(raw))):
            continue
        found = list(part.objects(read, table, part.in_order(table), 0, 1))
        assert len(found) == table.object_count
        if all(wrong is None for _, _, wrong in found):
            places = {(place[1], place[2], place[3]) for _, *place in table.iter_objects()}
            assert sum(length for _, _, length in places) == sum(piece.raw for piece in table.iter_pieces())


def _stat_cache(data: bytes) -> None:
    """What is read is empty or a folder; nothing is raised."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cache"
        path.write_bytes(data)
        cache = StatCache.load(str(path), b"E" * 16, 3_000_000_000_000, bytes(32))
        for name in (b"inner", b""):
            record = cache.find(name)
            if record is not None:
                record.all_known([b"a"], [b"x" * 32])
        cache.close()


def _mended(data: bytes) -> None:
    name = hashlib.sha256(b"a pack").digest()
    assert mended.to_bytes(name, mended.parse(data, name)) == data


def _pin(data: bytes) -> None:
    assert canonical.dumps(pins.parse(data).to_json()) == data


def _tree(data: bytes) -> None:
    assert tree.encode(tree.parse(data)) == data


def _row(data: bytes) -> None:
    key, value = data[:32], data[32:]
    for given in (value, rows.seal(key, value[:-4])):
        for parse in (rows.parse_row, rows.parse_pack_row):
            try:
                parse(key, given)
            except rows.IndexDoubt:
                continue


def _rows_of(data: bytes) -> list[bytes]:
    found = json.loads(data)["objects"]
    return [bytes.fromhex(key) + bytes.fromhex(value) for key, value in found.items()]


class NoRows:
    """No leaf lies anywhere."""

    def read(self, name: str, digest: Digest) -> bytes:
        raise StoreDamaged(f"{name}: {digest}")

    def since(self, start: int) -> Iterator[Entry]:
        raise StoreDamaged(f"{start}")


def _sealed_state(data: bytes) -> None:
    record, _ = sealed_states.decode(data)
    roots = [trust_roots.parse_payload(trust_roots.payload_of(_ROOT.read_bytes()))] * len(
        state_records.trust_files(record)
    )
    with suppress(StoreDamaged):  # a table whose rows lie nowhere
        state_records.of_record(record, roots, NoRows())


def _lmdb_file(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "data.mdb"
        path.write_bytes(data)
        assert examine(str(path)) is None or examine(str(path))


def _kit(data: bytes) -> None:
    told: list[list[list[object]]] = []
    told.append(kit_reading.places(io.BytesIO(data), None, None, told.append))
    assert all(offset + size <= len(data) for part in told for _, offset, size in part)


def _same(parse: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """A parser whose values have `to_bytes`: the very bytes come back."""

    def law(data: bytes) -> None:
        assert parse(data).to_bytes() == data  # type: ignore[attr-defined]

    return law


def _only(parse: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """A parser of what others write too: it refuses or reads."""

    def law(data: bytes) -> None:
        parse(data)

    return law


def _entry(data: bytes) -> None:
    entry = entries.parse(data)
    assert entry.raw == data == canonical.dumps(entry.to_json())


def _pack_list(data: bytes) -> None:
    assert entries.pack_list(entries.parse_pack_list(data)) == data


def _config(data: bytes) -> None:
    found = StoreConfig.parse(data, "casstore.json")
    assert StoreConfig.parse(found.to_bytes(), "casstore.json") == found


def _checkpoint(data: bytes) -> None:
    point, _ = checkpoints.parse(data)
    assert data.startswith(point.to_text().encode())


def _checksums(data: bytes) -> None:
    assert checksums.to_bytes(checksums.parse(data)) == data


_ENTRY_SEEDS = "ledger-entry/0*"
PARSERS = {
    "pack": Parser(_pack, "store/*.pack"),
    "pack-check": Parser(_checked_pack, "store/*.pack"),
    "mended-note": Parser(_mended, "store/mended.json"),
    "stat-cache": Parser(_stat_cache, "store/stat-cache", ()),
    "pin": Parser(_pin, "gc/pin.json", (CasstoreError,)),
    "tree": Parser(_tree, "store/*tree.msgpack"),
    "index-row": Parser(_row, "store/index-rows.json", split=_rows_of),
    "sealed-state": Parser(_sealed_state, "state/sealed-state"),
    "index-file": Parser(_lmdb_file, "store/small.pack", ()),
    "casstore.json": Parser(_config, "store/casstore.json", (StoreDamaged, TooNew)),
    "ledger-entry": Parser(_entry, _ENTRY_SEEDS, (FormatError, TooNew)),
    "pack-list": Parser(_pack_list, "ledger-entry/pack-list.json", (FormatError,)),
    "release-object": Parser(_same(release_objects.parse), "release-object/*.json"),
    "ProductManifest": Parser(_same(product_manifests.parse), "product-manifest/*.json"),
    "receipt": Parser(_same(Receipt.parse), "receipt/*.json"),
    "pins": Parser(_only(Pins.parse), "consumer-state/pins.json"),
    "install-id": Parser(_only(install_ids.parse), "consumer-state/install-id"),
    "log-nodes": Parser(_only(lambda data: log_nodes.parse(data, 42)), "kit/nodes.json"),
    "shared-record": Parser(_only(ChannelRecord.parse), "publication/shared-record.json", (CasstoreError,)),
    "channel-record": Parser(_only(ChannelRecord.parse), "publication/channel-record.json", (CasstoreError,)),
    "ledger-proof": Parser(_only(LedgerProof.parse), "publication/ledger-proof.json", (CasstoreError,)),
    "SHA256SUMS": Parser(_checksums, "archives/SHA256SUMS"),
    "kit": Parser(_kit, "kit/kit.tar", (CasstoreError,)),
    "statement": Parser(_only(statements.parse), "statement/*.json"),
    "attestation": Parser(_only(sigstore_bundles.SigstoreBundle.parse), "attestation/*.sigstore.json"),
    "signed-trust-root": Parser(_only(trust_roots.payload_of), "trust-root/*.signed.json", (CasstoreError,)),
    "checkpoint": Parser(_checkpoint, "checkpoint/*.checkpoint"),
    "log-entries": Parser(
        _only(lambda data: tiles.parse_entries(data, width=3)), "checkpoint/tile/entries/001.p/3", (CasstoreError,)
    ),
}
