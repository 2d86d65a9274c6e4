"""Whoever serves or carries evidence that others signed: what they change, mix or relabel counts for nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import worlds
from worlds import NOW, World, identity

from attest.ceremony import ceremony
from attest.digests import sha256
from attest.judging.decisions import SigstoreRoots
from attest.sigstore import forms
from attest.trust import certificate_conditions
from attest.trust.trust_roots import Role, TrustIdentity
from casstore import promotion
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.objects.kinds import Kind
from casstore.store.store import Store

DATA = Path(__file__).parents[1] / "data"
BUNDLES = DATA / "sigstore-bundles"
ROOTS = (BUNDLES / "trusted_root.jsonl").read_bytes()
PUBLIC = (BUNDLES / "slsa-verifier__cli__slsa-verifier__testdata__bcr__MODULE.bazel.intoto.jsonl").read_bytes()
OTHERS = (
    BUNDLES / "slsa-verifier__cli__slsa-verifier__testdata__bcr__MODULE-wrong-signer.bazel.intoto.jsonl"
).read_bytes()
PRIVATE = (
    BUNDLES
    / "automata-slsa-sigstore-verifier__samples__actions-attest-build-provenance-attestation-13581567.sigstore.json"
).read_bytes()
CONDITIONS = certificate_conditions.parse(
    {
        "issuer": "https://token.actions.githubusercontent.com",
        "repository": "https://github.com/aspect-build/rules_lint",
        "repositoryId": "631710741",
        "workflow": "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml",
        "branches": ["publish-to-bcr"],
    },
    "ci",
)
PROBER = (
    "oidc:https://token.actions.githubusercontent.com#https://github.com/actions/attest-build-provenance"
    "/.github/workflows/prober.yml@refs/heads/main"
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Owners who pin the public instance and GitHub's, and name one workflow of each."""
    since = datetime(2020, 1, 1, tzinfo=UTC)
    foreign = (
        TrustIdentity("bcr", CONDITIONS.identity, None, since, certificate=CONDITIONS),
        TrustIdentity("prober", PROBER, None, since),
    )
    known = sorted((*map(identity, sorted({*worlds.ROLES, "log"})), *foreign), key=lambda entry: entry.name)
    roles = dict(worlds.trust_root("").roles)
    roles["builder"] = Role("builder", (*roles["builder"].identities, "bcr", "prober"))
    world = World(Store.init(str(tmp_path / "store")), now=NOW)
    pinned = world.store.put_bytes(ROOTS)
    root = worlds.trust_root(world.store.store_id, identities=tuple(known), roles=roles, sigstore_root=pinned)
    payload = ceremony.draft(root)
    signed = [ceremony.sign(payload, worlds.signer(name)) for name in ("olga", "otto")]
    raw = ceremony.combine(payload, signed, at=root.created, sigstore=SigstoreRoots(pinned={pinned: ROOTS}))
    digest = world.store.put_bytes(raw, subjects=[root.digest], kind=Kind.ATTESTATION)
    commit(world.ledger, world.store, world.state, EntryKind.GENESIS, digest, now=world.now)
    world.now += timedelta(hours=1)
    yield world
    world.store.close()


def take(world: World, raw: bytes) -> list[promotion.Taken]:
    return [promotion.take(world.store, world.ledger, p, source="x", now=world.now) for p in forms.read(raw)]


def changed(raw: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(raw)
    change(document)
    return json.dumps(document).encode()


def other_payload(document: dict[str, Any]) -> None:
    envelope = document["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["subject"] = [{"name": "evil", "digest": {"sha256": sha256(b"evil")[7:]}}]
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()


def test_what_is_genuine_counts(world: World) -> None:
    (public,), (private,) = take(world, PUBLIC), take(world, PRIVATE)
    assert (public.outcome, public.names) == ("recorded", ("bcr",))
    assert (private.outcome, private.names) == ("recorded", ("prober",))
    assert not world.state.void


MATERIAL = json.loads(PUBLIC)["verificationMaterial"]
ATTACKS: dict[str, bytes] = {
    "another statement under the same signature": changed(PUBLIC, other_payload),
    "the same, of a private repository": changed(PRIVATE, other_payload),
    "the log entry of another bundle": changed(
        PUBLIC,
        lambda d: d["verificationMaterial"].update(
            tlogEntries=json.loads(OTHERS)["verificationMaterial"]["tlogEntries"]
        ),
    ),
    "the certificate of another signer": changed(
        OTHERS, lambda d: d["verificationMaterial"].update(certificate=MATERIAL["certificate"])
    ),
    "all proofs of another signer": changed(OTHERS, lambda d: d.update(verificationMaterial=MATERIAL)),
    "a public bundle without its log": changed(PUBLIC, lambda d: d["verificationMaterial"].update(tlogEntries=[])),
    "a public bundle with a private one's stamp": changed(
        PUBLIC,
        lambda d: d["verificationMaterial"].update(
            tlogEntries=[],
            timestampVerificationData=json.loads(PRIVATE)["verificationMaterial"]["timestampVerificationData"],
        ),
    ),
    "a private bundle without its stamp": changed(
        PRIVATE, lambda d: d["verificationMaterial"].pop("timestampVerificationData")
    ),
    "a private bundle with a public one's log entry": changed(
        PRIVATE,
        lambda d: d["verificationMaterial"].update(timestampVerificationData=None, tlogEntries=MATERIAL["tlogEntries"]),
    ),
    "a genuine bundle of another repository": OTHERS,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_refused_and_an_entry_of_it_is_void(world: World, attack: str) -> None:
    (found,) = take(world, ATTACKS[attack])
    assert found.outcome == "refused" and found.why and not found.names
    assert world.force(EntryKind.EVIDENCE, ATTACKS[attack]), "whoever may append only makes a void entry"
    assert sha256(b"evil") not in world.state.evidence


def test_a_lie_beside_an_honest_one_changes_nothing(world: World) -> None:
    lines = b"\n".join(json.dumps(json.loads(raw)).encode() for raw in (*ATTACKS.values(), PUBLIC))
    outcomes = [found.outcome for found in take(world, lines)]
    assert outcomes == ["refused"] * len(ATTACKS) + ["recorded"]
