"""Managed keys with a log entry and time stamps, made and judged against a real private instance."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("rfc3161_client", reason="time stamps need the [keyless] extra")

from private_sigstore import FAULTS, PrivateSigstore

from attest import canonical, signers
from attest.digests import sha256
from attest.errors import BadInput, CasstoreError, FormatError, SignerError, TrustError, VerificationError
from attest.keys import keys
from attest.signers import services
from attest.signers.logged import LoggedSigner, Services
from attest.sigstore import managed_proofs
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import statements
from attest.trust.verify import VerifiedStatement, verify_with_key

SUBJECT = sha256(b"artifact")
TYPE = "https://example.com/p/v1"
PAYLOAD = statements.of_digests({"artifact": SUBJECT}, TYPE, {"n": 1}).to_bytes()
KEY = signers.from_private_key(keys.generate())


@pytest.fixture
def instance() -> Iterator[PrivateSigstore]:
    with PrivateSigstore() as running:
        yield running


def sign(instance: PrivateSigstore, version: int = 1, *, key: Any = KEY, **left_out: None) -> bytes:
    wanted = {"rekor": instance.url, "rekor_version": version, "tsa": instance.tsa_url, **left_out}
    return LoggedSigner(key, Services(root_json=instance.trusted_root(), **wanted)).sign_statement(PAYLOAD)


def judge(instance: PrivateSigstore, raw: bytes, *, root: bytes | None = None, key: Any = KEY) -> VerifiedStatement:
    return verify_with_key(
        raw, key.public_pem, predicate_type=TYPE, subjects=[SUBJECT],
        sigstore_root=root or instance.trusted_root(), at=instance.clock.now(),
    )  # fmt: skip


@pytest.mark.parametrize("left_out", [{}, {"rekor": None}, {"tsa": None}], ids=["both", "stamp", "log"])
@pytest.mark.parametrize("rekor", [1, 2])
def test_the_proofs_prove_the_signing_time(instance: PrivateSigstore, rekor: int, left_out: dict[str, None]) -> None:
    raw = sign(instance, rekor, **left_out)
    found = judge(instance, raw)
    told = not (rekor == 2 and "tsa" in left_out)  # Rekor v2 tells no time
    assert (found.signed_at is not None) is told
    if found.signed_at is not None:
        assert abs(found.signed_at - instance.clock.now()) < timedelta(seconds=10)
    assert raw == canonical.dumps(json.loads(raw))
    plain = verify_with_key(raw, KEY.public_pem or b"", predicate_type=TYPE, subjects=[SUBJECT])
    assert plain.signed_at is None


@pytest.mark.parametrize("rekor", [1, 2])
def test_a_proof_can_be_required(instance: PrivateSigstore, rekor: int) -> None:
    def required(raw: bytes) -> managed_proofs.Proven:
        bundle, public = SigstoreBundle.parse(raw), keys.public_from_pem(KEY.public_pem or b"")
        root, now = instance.trusted_root(), instance.clock.now()
        return managed_proofs.judge(bundle, public, root_json=root, at=now, required=True)

    assert required(sign(instance, rekor)).logged
    with pytest.raises(TrustError, match="no proof that the signature was logged"):
        required(KEY.sign_statement(PAYLOAD))
    with pytest.raises(TrustError, match="no proof that the signature was logged"):
        required(sign(instance, rekor, rekor=None))
    if rekor == 2:
        with pytest.raises(TrustError, match="no proven signing time"):
            required(sign(instance, rekor, tsa=None))


def test_ed25519_goes_into_rekor_v1_only(instance: PrivateSigstore) -> None:
    key = signers.from_private_key(keys.generate("ed25519"))
    assert judge(instance, sign(instance, 1, key=key), key=key).signed_at
    with pytest.raises(BadInput, match="takes no Ed25519"):
        sign(instance, 2, key=key)


def test_services_come_from_a_client_trust_config(instance: PrivateSigstore) -> None:
    found = Services.of_trust_config(instance.trust_config(2))
    assert (found.rekor, found.rekor_version, found.tsa) == (instance.url, 2, instance.tsa_url)
    assert judge(instance, LoggedSigner(KEY, found).sign_statement(PAYLOAD)).signed_at
    with pytest.raises(BadInput, match="signingConfig"):
        Services.of_trust_config(b"{}")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("service", ["rekor", "tsa"])
@pytest.mark.parametrize("rekor", [1, 2])
def test_a_service_that_fails_gives_one_error(
    instance: PrivateSigstore, monkeypatch: pytest.MonkeyPatch, rekor: int, service: str, fault: str
) -> None:
    monkeypatch.setattr(services, "PATIENCE", 0.3)
    instance.faults[service] = fault
    with pytest.raises(CasstoreError) as caught:
        sign(instance, rekor)
    assert "\n" not in caught.value.message
    if fault != "garbage":
        assert caught.value.exit_code == 12
        assert instance.url in caught.value.message


LIES = [("rekor", lie) for lie in ("other-body", "bad-root", "bad-proof", "bad-checkpoint")]
LIES += [("rekor_v1", "bad-promise"), *(("tsa", lie) for lie in ("other-data", "bad-signature", "rejects"))]


@pytest.mark.parametrize(("service", "lie"), LIES, ids=lambda value: value)
@pytest.mark.parametrize("rekor", [1, 2])
def test_a_service_that_lies_is_noticed(instance: PrivateSigstore, rekor: int, service: str, lie: str) -> None:
    version = 1 if service == "rekor_v1" else rekor
    getattr(instance, f"rekor_v{version}" if service == "rekor" else service).lies.add(lie)
    with pytest.raises(SignerError):
        sign(instance, version)


Change = Callable[[dict[str, Any]], Any]
CHANGES: dict[str, Change] = {
    "time": lambda entry: entry.update(integratedTime=str(int(entry["integratedTime"]) - 3600)),
    "index": lambda entry: entry.update(logIndex=str(int(entry["logIndex"]) + 1)),
    "proof index": lambda entry: entry["inclusionProof"].update(logIndex="5"),
    "size": lambda entry: entry["inclusionProof"].update(treeSize="7"),
    "promise": lambda entry: entry["inclusionPromise"].update(signedEntryTimestamp="AAAA"),
    "no proof": lambda entry: entry.pop("inclusionProof"),
    "no checkpoint": lambda entry: entry["inclusionProof"].pop("checkpoint"),
    "kind": lambda entry: entry["kindVersion"].update(version="0.0.2"),
    "negative": lambda entry: entry.update(logIndex=-1),
    "huge": lambda entry: entry.update(integratedTime="9" * 16),
    "no body": lambda entry: entry.pop("canonicalizedBody"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_entry_is_refused(instance: PrivateSigstore, change: Change) -> None:
    sign(instance, 1)
    document = json.loads(sign(instance, 1, tsa=None))
    change(document["verificationMaterial"]["tlogEntries"][0])
    with pytest.raises((VerificationError, FormatError)):
        judge(instance, json.dumps(document).encode())


@pytest.mark.parametrize("rekor", [1, 2])
def test_proofs_of_another_bundle_are_refused(instance: PrivateSigstore, rekor: int) -> None:
    other = LoggedSigner(KEY, Services(instance.url, rekor, instance.tsa_url, instance.trusted_root()))
    stolen = json.loads(other.sign_statement(PAYLOAD.replace(b'"n":1', b'"n":2')))["verificationMaterial"]
    document = json.loads(KEY.sign_statement(PAYLOAD))
    document["verificationMaterial"]["tlogEntries"] = stolen["tlogEntries"]
    with pytest.raises(VerificationError, match="about something else"):
        judge(instance, json.dumps(document).encode())
    document["verificationMaterial"]["tlogEntries"] = []
    document["verificationMaterial"]["timestampVerificationData"] = stolen["timestampVerificationData"]
    assert judge(instance, json.dumps(document).encode()).signed_at is None


def test_proofs_by_strangers_prove_nothing_and_harm_nothing(instance: PrivateSigstore) -> None:
    raw = sign(instance)
    assert judge(instance, raw, root=PrivateSigstore().trusted_root()).signed_at is None


@pytest.mark.parametrize(("part", "rekor"), [("rekor_v1", 1), ("rekor_v2", 2), ("tsa", 2)])
def test_after_a_rotation_old_proofs_hold_and_the_old_key_proves_nothing_new(
    instance: PrivateSigstore, part: str, rekor: int
) -> None:
    before = sign(instance, rekor)
    old = getattr(instance, part)
    instance.clock.move(hours=1)
    instance.rotate(part)
    instance.clock.move(hours=1)
    assert judge(instance, before).signed_at and judge(instance, sign(instance, rekor)).signed_at
    setattr(instance, part, old)
    wanted = Services(instance.url, rekor, instance.tsa_url)
    after = LoggedSigner(KEY, wanted).sign_statement(PAYLOAD)
    if part == "tsa":
        assert judge(instance, after).signed_at is None
    else:
        with pytest.raises(TrustError, match="has no transparency log"):
            judge(instance, after)


def test_a_keyless_signer_needs_no_such_thing(instance: PrivateSigstore) -> None:
    class Keyless:
        public_pem = None

    with pytest.raises(BadInput, match="keyless"):
        LoggedSigner(Keyless(), Services())  # type: ignore[arg-type]
