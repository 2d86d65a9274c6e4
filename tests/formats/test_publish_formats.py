"""Golden files of what is published, installed and exported: written the same, and read back."""

from __future__ import annotations

import pytest
from tuf.api.metadata import Metadata, Root, Targets

from attest.digests import hex_of
from bundlers.consuming import install_ids
from bundlers.consuming.state import Pins
from bundlers.formats.pieces import Pieces
from bundlers.installing.receipts import Receipt
from bundlers.publishing import file_lists
from bundlers.publishing.layout.kit_files import KitFile
from bundlers.publishing.layout.records import ChannelRecord, LedgerProof
from tests.formats import make_publish
from tests.formats.make_publish import GOLDEN


@pytest.mark.parametrize("name", sorted(make_publish.golden()))
def test_written_as_ever(name: str) -> None:
    assert (GOLDEN / name).read_bytes() == make_publish.golden()[name]


def test_read_back() -> None:
    def data(name: str) -> bytes:
        return (GOLDEN / name).read_bytes()

    assert ChannelRecord.parse(data("publication/channel-record.json")) == make_publish.channel_record()
    assert ChannelRecord.parse(data("publication/shared-record.json")) == make_publish.shared_record()
    assert LedgerProof.parse(data("publication/ledger-proof.json")) == make_publish.ledger_proof()
    assert Receipt.parse(data("receipt/first.json")) == make_publish.receipt()
    assert Receipt.parse(data("receipt/next.json")).previous == make_publish.receipt().name
    assert install_ids.parse(data("consumer-state/install-id")).hex() == hex_of(make_publish.known("install id"))
    assert Pins.parse(data("consumer-state/pins.json")) == make_publish.pins()
    assert Pieces.parse(data("archive-pieces/core.pieces")) == make_publish.archive_pieces()
    assert file_lists.parse_index(data("published-layout/files/index.json")) == make_publish.listed()
    assert len(file_lists.parse_piece(data("published-layout/files/all.json"), "all.json")) == 2
    kit = KitFile(str(GOLDEN / "kit/kit.tar"))
    assert len(kit.names) == 4 and kit.read("releases/1.2.0/core-1.2.0.tar.gz") == b"archive"


def test_an_index_of_files_that_says_less_is_read_on() -> None:
    """Version 2: of inputs and vulnerabilities nothing, which is not the same as none."""
    before = file_lists.parse_index((GOLDEN / "published-layout/files/index-2.json").read_bytes())
    now = make_publish.listed()
    assert before.keys() == now.keys() and before["1.2.0"].channels == now["1.2.0"].channels
    for row in before.values():
        assert row.vulnerabilities is None and row.components["core-bin"].inputs is None


def test_roles_of_older_releases_still_verify() -> None:
    """By the keys of the role targets; bins share all hashes, and a name that is gone has a version alone."""
    files = {path.name: path.read_bytes() for path in (GOLDEN / "published-layout/older").iterdir()}
    first: Metadata[Targets] = Metadata.from_bytes(files["26.targets.json"])
    assert first.signed.delegations is not None and first.signed.delegations.roles is not None
    assert list(first.signed.delegations.roles) == ["older-0", "older-1"]
    for name, version in (("older-0", 24), ("older-1", 16)):
        role: Metadata[Targets] = Metadata.from_bytes(files[f"{version}.{name}.json"])
        first.signed.verify_delegate(name, role.signed_bytes, role.signatures)
        assert role.signed.version == version
    bins = role.signed.delegations
    assert bins is not None and bins.roles is not None and bins.keys == first.signed.delegations.keys
    assert {name: one.path_hash_prefixes for name, one in bins.roles.items()} == {
        "older-1-0": ["0", "1", "2", "3"],
        "older-1-1": ["4", "5", "6", "7"],
        "older-1-2": ["8", "9", "a", "b"],
        "older-1-3": ["c", "d", "e", "f"],
    }
    meta = Metadata.from_bytes(files["26.snapshot.json"]).signed.meta
    assert meta["older-2.json"].version == 8 and meta["older-2.json"].hashes is None
    meta["older-0.json"].verify_length_and_hashes(files["24.older-0.json"])


def test_metadata_still_verifies() -> None:
    files = {path.name: path.read_bytes() for path in (GOLDEN / "published-layout/metadata").iterdir()}
    root: Metadata[Root] = Metadata.from_bytes(files["1.root.json"])
    for name, data in files.items():
        metadata = Metadata.from_bytes(data)
        root.verify_delegate(metadata.signed.type, metadata)
        assert name.removesuffix(".json").split(".")[-1] == metadata.signed.type
