"""Attestations in the store are found by all that they speak of; keeping one is no judgement."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import World, provenance

from attest.digests import sha256
from attest.errors import FormatError
from attest.statements.predicates import approval, slsa_provenance
from casstore.store import attestations
from casstore.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


def test_found_by_each_subject_and_type(store: Store) -> None:
    one, two = sha256(b"one"), sha256(b"two")
    raw = provenance({"one": one, "two": two}, "mallory")
    digest = attestations.put_attestation(store, raw)
    assert digest == sha256(raw)
    for subject in (one, two):
        (found,) = attestations.find(store, subject, slsa_provenance.TYPE)
        assert (found.digest, found.raw) == (digest, raw)
    assert attestations.find(store, one, approval.TYPE) == []
    assert attestations.find(store, sha256(b"three")) == []
    assert [item.digest for item in attestations.find_many(store, [one, two])] == [digest]


def test_putting_it_twice_is_once(store: Store) -> None:
    raw = provenance({"one": sha256(b"one")}, "ci")
    assert attestations.put_attestation(store, raw) == attestations.put_attestation(store, raw)
    assert len(attestations.find(store, sha256(b"one"))) == 1


@pytest.mark.parametrize("raw", [b"", b"{}", b"noise", b'{"mediaType":"application/x"}'])
def test_what_is_no_attestation_is_refused(store: Store, raw: bytes) -> None:
    with pytest.raises(FormatError):
        attestations.put_attestation(store, raw)


def test_a_signed_trust_root_is_passed_over(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "store"))
    root = world.state.require_trust_root().digest
    assert world.store.attestations(root) != []
    assert attestations.find(world.store, root) == []
