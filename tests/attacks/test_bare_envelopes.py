"""Whoever hands in entries beside bare envelopes, or answers as a log: only the entry of this signature helps."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytest.importorskip("sigstore", reason="keyless signing needs the [keyless] extra")

from bare_envelopes import KINDS, line_of, logged, pem_of
from private_sigstore import PrivateSigstore

from attest.errors import CasstoreError
from attest.signers import keyless as signing
from attest.sigstore import forms, keyless, rekor_answers
from attest.statements import statements

AT = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def instance() -> Iterator[PrivateSigstore]:
    with PrivateSigstore() as running:
        yield running


def sign(instance: PrivateSigstore, who: str = "ann@example.com", name: str = "a") -> bytes:
    subject = {"name": name, "digest": {"sha256": hashlib.sha256(name.encode()).hexdigest()}}
    statement = {"_type": statements.STATEMENT_V1, "subject": [subject],
                 "predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}  # fmt: skip
    config = signing.open_config(instance.trust_config(1), staging=False, network=None)
    session = signing.open_session(config, instance.token(email=who), network=None)
    return session.sign_statement(json.dumps(statement).encode())


def judged(line: str, answer: bytes, root: bytes, at: datetime = AT) -> keyless.KeylessSignature:
    """As `attest complete` and `verify-bundle` do it, one after the other."""
    (piece,) = forms.read(line.encode())
    whole = rekor_answers.completed(piece.raw or b"", [answer])
    return keyless.verify_keyless(whole, trusted_root_json=root, at=at)


def refused(line: str, answer: bytes, root: bytes, why: str) -> None:
    with pytest.raises(CasstoreError) as caught:
        judged(line, answer, root)
    assert why in caught.value.message, caught.value.message


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("inside", [True, False], ids=["certificate", "bare"])
def test_the_entry_of_another_envelope(instance: PrivateSigstore, kind: tuple[str, str], inside: bool) -> None:
    """Of another artifact, of another signer, of the same statement signed again: none is this signature's."""
    ours, root = sign(instance), instance.trusted_root()
    line = line_of(ours, certificate=inside)
    own = logged(instance, line, pem_of(json.loads(ours)), kind)
    assert judged(line, own, root).identity.endswith("#ann@example.com")
    for other in (sign(instance, name="b"), sign(instance, who="eve@example.com"), sign(instance)):
        stolen = logged(instance, line_of(other), pem_of(json.loads(other)), kind)
        refused(line, stolen, root, "none of the 1 log entries is about this signature")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_statement_of_ones_own_beside_a_genuine_entry(instance: PrivateSigstore, kind: tuple[str, str]) -> None:
    ours, root = sign(instance), instance.trusted_root()
    line = line_of(ours)
    own = logged(instance, line, pem_of(json.loads(ours)), kind)
    value = json.loads(line)
    payload = json.loads(base64.b64decode(value["payload"]))
    payload["subject"][0]["digest"]["sha256"] = "0" * 64
    evil = base64.b64encode(json.dumps(payload).encode()).decode()
    refused(json.dumps({**value, "payload": evil}), own, root, "none of the 1 log entries is about")
    certificate = pem_of(json.loads(sign(instance, who="eve@example.com")))
    swapped = {**value, "signatures": [{**value["signatures"][0], "cert": certificate}]}
    refused(json.dumps(swapped), own, root, "none of the 1 log entries is about")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_an_entry_that_names_the_certificate_of_a_victim(instance: PrivateSigstore, kind: tuple[str, str]) -> None:
    """Eve's envelope without a certificate, and a body that she wrote of it with Ann's: no log has signed that."""
    eve, ann = sign(instance, who="eve@example.com"), sign(instance)
    root, line = instance.trusted_root(), line_of(eve, certificate=False)
    answer = json.loads(logged(instance, line, pem_of(json.loads(eve)), kind))
    (entry,) = answer.values()
    body = base64.b64decode(entry["body"]).decode()
    hers, anns = (base64.b64encode(pem_of(json.loads(raw)).encode()).decode() for raw in (eve, ann))
    assert hers in body
    entry["body"] = base64.b64encode(body.replace(hers, anns).encode()).decode()
    refused(line, json.dumps(answer).encode(), root, "the keyless signature is refused")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("lie", ["bad-root", "bad-proof", "bad-checkpoint", "bad-promise"])
def test_a_log_that_lies(instance: PrivateSigstore, kind: tuple[str, str], lie: str) -> None:
    ours = sign(instance)
    instance.rekor_v1.lies.add(lie)
    answer = logged(instance, line_of(ours), pem_of(json.loads(ours)), kind)
    refused(line_of(ours), answer, instance.trusted_root(), "")


def _later(entry: dict[str, Any]) -> None:
    entry["integratedTime"] += 1


def _elsewhere(entry: dict[str, Any]) -> None:
    entry["logIndex"] += 1


def _without_promise(entry: dict[str, Any]) -> None:
    entry["verification"]["signedEntryTimestamp"] = ""


def _cut_proof(entry: dict[str, Any]) -> None:
    entry["verification"]["inclusionProof"]["hashes"] = entry["verification"]["inclusionProof"]["hashes"][:-1]


def _other_checkpoint(entry: dict[str, Any]) -> None:
    proof = entry["verification"]["inclusionProof"]
    proof["checkpoint"] = proof["checkpoint"].replace(f"\n{proof['treeSize']}\n", f"\n{proof['treeSize'] + 1}\n", 1)


@pytest.mark.parametrize("change", [_later, _elsewhere, _without_promise, _cut_proof, _other_checkpoint])
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_an_answer_that_was_changed(
    instance: PrivateSigstore, kind: tuple[str, str], change: Callable[[dict[str, Any]], None]
) -> None:
    ours = sign(instance)
    answer = json.loads(logged(instance, line_of(ours), pem_of(json.loads(ours)), kind))
    change(next(iter(answer.values())))
    refused(line_of(ours), json.dumps(answer).encode(), instance.trusted_root(), "")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_the_entry_of_a_log_that_the_root_does_not_name(instance: PrivateSigstore, kind: tuple[str, str]) -> None:
    ours = sign(instance)
    with PrivateSigstore() as stranger:
        answer = logged(stranger, line_of(ours), pem_of(json.loads(ours)), kind)
        refused(line_of(ours), answer, instance.trusted_root(), "no proven signing time")
        refused(line_of(ours), answer, stranger.trusted_root(), "no authority of the trusted root issued it")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_stolen_key_that_signs_after_its_certificate(instance: PrivateSigstore, kind: tuple[str, str]) -> None:
    """Logged days later by whoever has the envelope: the time is that entry's, and the certificate had ended."""
    ours = sign(instance)
    instance.clock.move(days=2)
    answer = logged(instance, line_of(ours), pem_of(json.loads(ours)), kind)
    refused(line_of(ours), answer, instance.trusted_root(), "the certificate chain does not hold")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_an_entry_of_a_window_that_had_ended(instance: PrivateSigstore, kind: tuple[str, str]) -> None:
    ours, old = sign(instance), instance.rekor_v1
    instance.clock.move(minutes=2)
    instance.rotate("rekor_v1")
    instance.clock.move(minutes=2)
    instance.rekor_v1, new = old, instance.rekor_v1
    late = logged(instance, line_of(ours), pem_of(json.loads(ours)), kind)
    instance.rekor_v1 = new
    refused(line_of(ours), late, instance.trusted_root(), "has no transparency log")


def test_a_promise_without_a_proof_is_taken_in_version_0_1_alone(instance: PrivateSigstore) -> None:
    ours, root = sign(instance), instance.trusted_root()
    line = line_of(ours)
    (entry,) = json.loads(logged(instance, line, pem_of(json.loads(ours)), ("intoto", "0.0.1"))).values()
    payload = {name: entry[name] for name in ("body", "integratedTime", "logIndex", "logID")}
    promise = {"SignedEntryTimestamp": entry["verification"]["signedEntryTimestamp"], "Payload": payload}
    assert judged(line, json.dumps(promise).encode(), root).payload
    for name, change in (("integratedTime", 1), ("logIndex", 1)):
        lie = {**promise, "Payload": {**payload, name: payload[name] + change}}
        refused(line, json.dumps(lie).encode(), root, "promise of inclusion does not hold")
    (piece,) = forms.read(line.encode())
    document = json.loads(rekor_answers.completed(piece.raw or b"", [json.dumps(promise).encode()]))
    assert document["mediaType"].endswith("version=0.1")
    document["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2"
    with pytest.raises(CasstoreError, match="inclusionProof is missing"):
        keyless.verify_keyless(json.dumps(document).encode(), trusted_root_json=root, at=AT)


def test_the_liar_first_in_an_answer_of_many_hides_nothing(instance: PrivateSigstore) -> None:
    ours, root = sign(instance), instance.trusted_root()
    line = line_of(ours)
    good = json.loads(logged(instance, line, pem_of(json.loads(ours)), ("dsse", "0.0.1")))
    other = sign(instance, who="eve@example.com")
    bad = json.loads(logged(instance, line_of(other), pem_of(json.loads(other)), ("dsse", "0.0.1")))
    assert judged(line, json.dumps([bad, good]).encode(), root).identity.endswith("#ann@example.com")
    assert judged(line, json.dumps({**bad, **good}).encode(), root).identity.endswith("#ann@example.com")


def test_an_envelope_that_somebody_logged_again_later(instance: PrivateSigstore) -> None:
    """A newer shard takes the same envelope again, from anybody: the first entry is the one that counts."""
    ours = sign(instance)
    line, pem = line_of(ours), pem_of(json.loads(ours))
    first = json.loads(logged(instance, line, pem, ("dsse", "0.0.1")))
    instance.clock.move(days=300)
    instance.rotate("rekor_v1")
    again = json.loads(logged(instance, line, pem, ("dsse", "0.0.1")))
    root = instance.trusted_root()
    for answer in ([first, again], [again, first]):
        found = judged(line, json.dumps(answer).encode(), root, AT + timedelta(days=300))
        assert found.signed_at < AT
    refused(line, json.dumps([again]).encode(), root, "the certificate chain does not hold")


def test_a_hash_of_another_text_of_the_same_envelope(instance: PrivateSigstore) -> None:
    """`intoto` 0.0.1 names a text alone; one that we cannot write again proves nothing, whatever it was."""
    ours, root = sign(instance), instance.trusted_root()
    line = line_of(ours)
    spaced = json.dumps(json.loads(line), indent=1)
    answer = logged(instance, spaced, pem_of(json.loads(ours)), ("intoto", "0.0.1"))
    refused(line, answer, root, "none of the 1 log entries is about this signature")
    both = json.loads(line)
    both["signatures"] *= 2
    exact = logged(instance, line, pem_of(json.loads(ours)), ("intoto", "0.0.1"))
    for piece in forms.read(json.dumps(both).encode()):
        whole = rekor_answers.completed(piece.raw or b"", [exact])
        assert keyless.verify_keyless(whole, trusted_root_json=root, at=AT), "each signature is the one that was logged"
