"""A reader without a library that it needs says so; it calls nothing void, so two readers never disagree."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from worlds import World

from attest.errors import NotInstalled
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay_all
from casstore.store.attestations import put_attestation

sigstore = pytest.importorskip("sigstore", reason="keyless verification needs the [keyless] extra")

BUNDLE = (
    Path(__file__).parents[1]
    / "data/sigstore-bundles/sigstore-python__test__assets__a.dsse.staging-rekor-v2.txt.sigstore.json"
)
ROOT = Path(sigstore.__file__).parent / "_store" / "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev" / "trusted_root.json"


def test_a_stamped_entry_is_not_void_where_the_reader_of_stamps_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World.make(str(tmp_path / "store"))
    digest = put_attestation(world.store, BUNDLE.read_bytes())
    entry = world.ledger.append(EntryKind.EVIDENCE, digest, now=world.now)
    root = ROOT.read_bytes()
    judged = replay_all(world.ledger, world.store, sigstore_root=root)
    assert entry.number in dict(judged.void), "signed by nobody whom the trust root names"
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    with pytest.raises(NotInstalled, match="rfc3161-client") as caught:
        replay_all(world.ledger, world.store, sigstore_root=root)
    assert caught.value.exit_code == 12
    assert "casstore help installing" in caught.value.hint
