"""Workers read ahead of a fold: they hand back bytes and facts, and everything else is as it is without them."""

from __future__ import annotations

import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from attest import canonical
from attest.digests import Digest, sha256, to_raw
from attest.errors import CasstoreError
from attest.keys import keys
from attest.sigstore import sigstore_bundles
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import statements
from attest.statements.predicates import slsa_provenance
from attest.trust import verify
from casstore.errors import StorageUnavailable, StoreDamaged
from casstore.ledger import ahead, facts
from casstore.ledger import entries as formats
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay_all
from casstore.ledger.states import state_records
from casstore.machine import team
from casstore.machine.workers import WorkerProcess
from casstore.objects.pack_format import piece_at
from tests.support.worlds import World, provenance, signer, trust_root

NEVER = 10**9


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Releases that move, a trust root that follows, somebody revoked, and entries that are void."""
    made = World.make(str(tmp_path / "store"))
    made.release("1.0.0")
    made.to_staging("1.0.0")
    made.rotate("ci")
    assert made.force(EntryKind.EVIDENCE, other_signature(provenance({"x": sha256(b"x")}, "ann")))
    assert made.force(EntryKind.COMPONENT, provenance({"x": sha256(b"x")}, "pam", releaseVersion="3"))
    made.ledger.append(EntryKind.EVIDENCE, made.store.put_bytes(b"noise"), now=made.now)
    made.release("1.0.1", by="builder-bob", content=b"more")
    made.to_staging("1.0.1")
    made.revoke_identity("bob", reason="left")
    return made


def other_signature(raw: bytes) -> bytes:
    """The same bundle, with one bit of its signature flipped."""
    value = json.loads(raw)
    sig = bytearray(SigstoreBundle.parse(raw).statement_envelope.signature)
    sig[-1] ^= 1
    value["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(sig).decode()
    return canonical.dumps(value)


def told(world: World, monkeypatch: pytest.MonkeyPatch, least: int) -> tuple[Any, tuple[int, int]]:
    """What a fold of everything comes to, and by how many reads and signatures of this process."""
    reads: list[Digest] = []
    signatures: set[bytes] = set()
    asked, checked = type(world.store).read, keys.verify_signature
    verify._signed.cache_clear()

    def counted_signature(public: keys.PublicKey, signature: bytes, data: bytes) -> None:
        signatures.add(signature)
        checked(public, signature, data)

    def counted(self: Any, digest: Digest, **how: int) -> bytes:
        reads.append(digest)
        return asked(self, digest, **how)

    with monkeypatch.context() as patch:
        patch.setattr(ahead, "LEAST", least)
        patch.setattr(ahead, "processors", lambda: 2)
        patch.setattr(type(world.store), "read", counted)
        patch.setattr(keys, "verify_signature", counted_signature)
        try:
            state = replay_all(Ledger(world.store, cache=EntryCache()), world.store)
        except CasstoreError as exc:
            return (type(exc), exc.message, exc.hint), (len(reads), len(signatures))
    found = state_records.record(state.fields()), list(state.void), dict(state.codes)
    return found, (len(reads), len(signatures))


def test_the_fold_is_the_same_and_reads_less_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, (reads, signatures) = told(world, monkeypatch, NEVER)
    found, (few_reads, few_signatures) = told(world, monkeypatch, 1)
    assert found == alone and len(found[1]) == 3
    assert few_reads < reads / 3, "what is left: signed files, and what is too large"
    assert few_signatures < signatures / 2, "what is left: the owners' and one that does not hold"


@pytest.mark.parametrize("place", [2, 8, 15])
def test_what_is_damaged_is_told_in_the_same_words(world: World, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    spoil(world, list(world.ledger.entries())[place].statement)
    alone, _ = told(world, monkeypatch, NEVER)
    assert issubclass(alone[0], CasstoreError)
    assert told(world, monkeypatch, 1)[0] == alone


def test_an_entry_that_was_changed_is_told_in_the_same_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(world.store.url, formats.key("main", 8))
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data.replace(b'"nonce":"', b'"nonce":"0')[:-1])
    alone, _ = told(world, monkeypatch, NEVER)
    assert alone[0] is StoreDamaged and "entry 8" in alone[1]
    assert told(world, monkeypatch, 1)[0] == alone


def spoil(world: World, digest: Digest) -> None:
    """One bit of the piece that an object lies in."""
    there = world.store.catalog.locate(to_raw(digest))
    assert there is not None
    piece, path = piece_at(there.pieces, there.place.piece), world.store.packs.path(there.pack)  # type: ignore[attr-defined]
    data = bytearray(Path(path).read_bytes())
    data[piece.offset + piece.stored // 2] ^= 1
    os.chmod(path, 0o644)
    Path(path).write_bytes(data)


def killed(module: str, setup: Any, count: int) -> list[WorkerProcess]:
    """Workers that somebody ends at once."""
    found = team.started(module, setup, count)
    for process in found:
        os.kill(process.pid, signal.SIGKILL)
    return found


def none_started(module: str, setup: Any, count: int) -> list[WorkerProcess]:
    return []


def test_a_worker_that_is_killed_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "started", killed)
    found, _ = told(world, monkeypatch, 1)
    assert found[:2] == (StorageUnavailable, "a worker process was ended from outside")


def test_where_none_can_be_started_the_fold_reads_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, many = told(world, monkeypatch, NEVER)
    monkeypatch.setattr(ahead, "started", none_started)
    assert told(world, monkeypatch, 1) == (alone, many)


def bundles(world: World) -> list[bytes]:
    return [world.store.read(entry.statement) for entry in world.ledger.entries()]


def test_what_is_learned_is_what_is_parsed(world: World) -> None:
    pems = {sigstore_bundles.hint_of(keys.public_to_der(keys.public_from_pem(pem))): pem for pem in all_pems(world)}
    signed = 0
    for raw in bundles(world):
        row = facts.told(raw, pems)
        if row is None:
            continue
        signed += row[-2] is not None
        learned: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sigstore_bundles, "learn", learned.append)
            patch.setattr(statements, "learn", lambda payload, value: learned.append((payload, value)))  # noqa: B023
            facts.learn(raw, row)
        bundle, (payload, statement) = learned
        assert bundle == SigstoreBundle.parse(raw) and payload == bundle.statement_envelope.payload
        assert statement == statements.parse(payload)
    assert signed > 10


def all_pems(world: World) -> set[bytes]:
    return {one.public_pem for root in world.state.trust_roots for one in root.identities if one.public_pem}


def test_a_fact_about_one_signature_answers_for_no_other(world: World) -> None:
    root, subject = trust_root(world.store.store_id), sha256(b"y")
    without = trust_root(world.store.store_id, identities=tuple(one for one in root.identities if one.name != "ann"))
    raw, pem = provenance({"y": subject}, "ann", n="1"), signer("ann").public_pem
    assert pem is not None
    for wrong, under in ((other_signature(raw), root), (raw, without)):
        verify.learn(pem, SigstoreBundle.parse(raw).statement_envelope)
        with pytest.raises(CasstoreError):
            judged(wrong, under, subject)
    assert judged(raw, root, subject).identity == signer("ann").identity


def judged(raw: bytes, root: Any, subject: Digest) -> verify.VerifiedStatement:
    return verify.verify(
        raw, trust_root=root, predicate_type=slsa_provenance.TYPE, subjects=[subject], at=root.created, role=None
    )
