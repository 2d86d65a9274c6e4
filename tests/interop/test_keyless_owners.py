"""A ceremony among keyless owners: the trust root pins the sigstore root by which all readers judge them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("sigstore", reason="keyless signing needs the [keyless] extra")

import moves
from private_sigstore import PrivateSigstore

from attest import signers
from attest.ceremony import ceremony
from attest.digests import sha256
from attest.errors import TrustError
from attest.judging.decisions import SigstoreRoots
from attest.signers import Signer
from attest.trust import trust_roots
from attest.trust.trust_roots import Role, TrustIdentity, TrustRoot
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay
from casstore.promotion import trust
from casstore.store.store import Store


@pytest.fixture
def instance() -> Iterator[PrivateSigstore]:
    with PrivateSigstore() as running:
        yield running


def owner(instance: PrivateSigstore, monkeypatch: pytest.MonkeyPatch, email: str) -> Signer:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", instance.token(email=email))
    files = {"config.json": instance.trust_config(1)}
    return signers.open_signer("keyless:config.json", read=files.__getitem__, password=lambda: None)


def keyless_root(instance: PrivateSigstore, store: str, *owners: Signer, ago: timedelta) -> TrustRoot:
    created = instance.clock.now().replace(microsecond=0) - ago
    entries = tuple(TrustIdentity(f"owner{n}", who.identity, None, created) for n, who in enumerate(owners))
    return TrustRoot(
        version=1,
        store=store,
        created=created,
        expires=created + timedelta(days=365),
        identities=entries,
        roles={"owner": Role("owner", tuple(entry.name for entry in entries), len(entries))},
        channels=dict(moves.CHANNELS),
        sigstore_root=sha256(instance.trusted_root()),
    )


def pinned(instance: PrivateSigstore) -> SigstoreRoots:
    root = instance.trusted_root()
    return SigstoreRoots(pinned={sha256(root): root})


def test_keyless_owners_may_sign_after_it_was_drafted(
    instance: PrivateSigstore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Store.init(str(tmp_path / "store")) as store:
        people = [owner(instance, monkeypatch, name) for name in ("ann@example.com", "ben@example.com")]
        root = keyless_root(instance, store.store_id, *people, ago=timedelta(days=3))
        payload = ceremony.draft(root)
        bundles = [ceremony.sign(payload, who) for who in people]
        now = instance.clock.now() + timedelta(minutes=1)
        assert ceremony.status(payload, bundles, at=now, sigstore=pinned(instance))[0].reached
        assert not ceremony.status(payload, bundles[:1], at=now, sigstore=pinned(instance))[0].reached
        signed = ceremony.combine(payload, bundles, at=now, sigstore=pinned(instance))
        told = ceremony.transcript(signed, at=now, sigstore=pinned(instance))
        assert {name for row in told.signatures for name in row.names} == {"owner0", "owner1"}
        ledger = Ledger(store, "main")
        trust.adopt(store, ledger, signed, now=now, sigstore_root=instance.trusted_root())
        state = replay(Ledger(store, "main"), store)
        assert state.void == () and state.require_trust_root().digest == root.digest


def test_not_too_late_not_too_early_and_by_no_other_instance(
    instance: PrivateSigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = owner(instance, monkeypatch, "ann@example.com")
    now = instance.clock.now() + timedelta(minutes=1)
    for ago in (timedelta(days=31), timedelta(minutes=-20)):
        root = keyless_root(instance, "s", who, ago=ago)
        raw = trust_roots.sign_file([who.sign_statement(root.statement().to_bytes())])
        with pytest.raises(TrustError, match="0 of the 1"):
            ceremony.verify_file(raw, at=now + timedelta(minutes=30), sigstore=pinned(instance))
    root = keyless_root(instance, "s", who, ago=timedelta(0))
    raw = trust_roots.sign_file([who.sign_statement(root.statement().to_bytes())])
    ceremony.verify_file(raw, at=now, sigstore=pinned(instance))
    with pytest.raises(TrustError, match="is not at hand"):
        ceremony.verify_file(raw, at=now, sigstore=SigstoreRoots(given=instance.trusted_root()))
    with PrivateSigstore() as other:
        elsewhere = replace(root, sigstore_root=sha256(other.trusted_root()))
        raw = trust_roots.sign_file([who.sign_statement(elsewhere.statement().to_bytes())])
        with pytest.raises(TrustError, match="0 of the 1"):
            ceremony.verify_file(raw, at=now, sigstore=pinned(other))
