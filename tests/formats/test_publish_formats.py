"""Golden files of what is published, installed and exported: written the same, and read back."""

from __future__ import annotations

import pytest
from tuf.api.metadata import Metadata, Root

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


def test_metadata_still_verifies() -> None:
    files = {path.name: path.read_bytes() for path in (GOLDEN / "published-layout/metadata").iterdir()}
    root: Metadata[Root] = Metadata.from_bytes(files["1.root.json"])
    for name, data in files.items():
        metadata = Metadata.from_bytes(data)
        root.verify_delegate(metadata.signed.type, metadata)
        assert name.removesuffix(".json").split(".")[-1] == metadata.signed.type
