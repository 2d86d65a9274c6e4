"""TUF metadata: deterministic signed parts, finished re-runs, rotation, refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tuf.api.metadata import Metadata

from attest.digests import sha256
from attest.errors import SignerError, VerificationError
from attest.keys import keys
from attest.signers import Signer, from_private_key
from bundlers.publishing.layout import tuf_repository as tuf
from bundlers.publishing.layout.tuf_repository import Lifetimes, TargetInfo, TufSigners
from casstore.errors import Conflict

NOW = datetime(2026, 7, 1, 10, tzinfo=UTC)
TARGETS = {"channels/prod.json": TargetInfo(sha256(b"a"), 1), "releases/1/core.tar.gz": TargetInfo(sha256(b"bb"), 2)}


def signer(algorithm: str = "ecdsa-p256") -> Signer:
    return from_private_key(keys.generate(algorithm))


def make(number: int, signers: TufSigners, root: bytes, existing: dict[str, bytes] | None = None) -> dict[str, bytes]:
    found = existing or {}
    files = tuf.make_metadata(number, root, TARGETS, signers, now=NOW, existing=found.get)
    return {file.name: file.data for file in files}


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ed25519"])
def test_numbers_and_expiries(algorithm: str) -> None:
    signers = TufSigners.single(signer(algorithm))
    root = tuf.next_root(None, signers, now=NOW)
    assert root is not None
    files = make(7, signers, root)
    assert list(files) == ["7.targets.json", "7.snapshot.json", "timestamp.json"]
    assert [tuf.version_of(data) for data in (root, *files.values())] == [1, 7, 7, 7]
    days = [(tuf.expiry_of(data) - NOW).days for data in (root, *files.values())]
    assert days == [365, 90, 90, 30]
    assert set(Metadata.from_bytes(files["7.targets.json"]).signed.targets) == set(TARGETS)


def test_rerun_keeps_what_an_interrupted_run_left() -> None:
    signers = TufSigners.single(signer("ecdsa-p256"))
    root = tuf.next_root(None, signers, now=NOW)
    assert root is not None
    first, second = make(1, signers, root), make(1, signers, root)
    assert first["1.targets.json"] != second["1.targets.json"], "ECDSA signatures differ"
    assert make(1, signers, root, first) == first


def test_other_metadata_under_the_same_number_is_a_conflict() -> None:
    signers = TufSigners.single(signer())
    root = tuf.next_root(None, signers, now=NOW)
    assert root is not None
    other = tuf.make_metadata(1, root, {}, signers, now=NOW, existing=lambda _: None)
    with pytest.raises(Conflict, match=r"1\.targets\.json"):
        make(1, signers, root, {other[0].name: other[0].data})


def test_kept_metadata_must_have_a_good_signature() -> None:
    signers = TufSigners.single(signer())
    root = tuf.next_root(None, signers, now=NOW)
    assert root is not None
    left = Metadata.from_bytes(make(1, signers, root)["1.targets.json"])
    left.sign(signer().as_securesystemslib())
    with pytest.raises(VerificationError):
        make(1, signers, root, {"1.targets.json": left.to_bytes()})


def test_a_foreign_online_key_is_refused() -> None:
    root = tuf.next_root(None, TufSigners.single(signer()), now=NOW)
    assert root is not None
    with pytest.raises(VerificationError, match="TUF root names"):
        make(1, TufSigners.single(signer()), root)


def test_root_is_renewed_when_due_and_rotated_with_the_old_key_only() -> None:
    old, new = signer(), signer()
    root = tuf.next_root(None, TufSigners.single(old), now=NOW)
    assert root is not None
    assert tuf.next_root(root, TufSigners.single(old), now=NOW) is None
    renewed = tuf.next_root(root, TufSigners.single(old), now=NOW + timedelta(days=300))
    assert renewed is not None and tuf.version_of(renewed) == 2
    with pytest.raises(SignerError, match="version before"):
        tuf.next_root(root, TufSigners.single(new), now=NOW)
    rotated = tuf.next_root(root, TufSigners(new, (new, old)), now=NOW)
    assert rotated is not None and roles(rotated)["root"]["keyids"] != roles(root)["root"]["keyids"]


def test_online_key_may_change_without_the_root_key_changing() -> None:
    offline, online = signer(), signer("ed25519")
    root = tuf.next_root(None, TufSigners(online, (offline,)), now=NOW)
    assert root is not None
    assert tuf.next_root(root, TufSigners(online, ()), now=NOW) is None, "the root key stays offline"
    make(1, TufSigners(online, ()), root)
    with pytest.raises(SignerError):
        tuf.next_root(root, TufSigners(signer(), ()), now=NOW)


def test_lifetimes_are_settings() -> None:
    signers = TufSigners.single(signer())
    root = tuf.next_root(None, signers, now=NOW, lifetimes=Lifetimes(root=10))
    assert root is not None and (tuf.expiry_of(root) - NOW).days == 10


def test_not_metadata() -> None:
    with pytest.raises(VerificationError):
        tuf.version_of(b"{}")


def test_target_name_has_the_hash() -> None:
    digest = sha256(b"x")
    assert tuf.target_name("a/b.txt", digest) == f"a/{digest[7:]}.b.txt"
    assert tuf.target_name("b.txt", digest) == f"{digest[7:]}.b.txt"


def roles(root: bytes) -> Any:
    return json.loads(root)["signed"]["roles"]
