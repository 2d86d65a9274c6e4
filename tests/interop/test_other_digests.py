"""Signatures over a file by SHA-384 and SHA-512, as keys on P-384 and P-521 make them: keyless and by a key."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sigstore", reason="verify-bundle reads what a private instance of the [keyless] extra made")

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from private_sigstore import PrivateSigstore

from attest.sigstore import rekor_answers
from cli import main

KINDS = {"sha384": (ec.SECP384R1(), hashes.SHA384()), "sha512": (ec.SECP521R1(), hashes.SHA512())}
FILE = b"artifact\n"
ANN = ("--certificate-identity", "ann@example.com", "--certificate-oidc-issuer", "https://issuer.example")


@pytest.fixture
def instance() -> Iterator[PrivateSigstore]:
    with PrivateSigstore() as running:
        yield running


def blob(instance: PrivateSigstore, algorithm: str, *, keyless: bool, content: bytes = FILE) -> dict[str, Any]:
    """A bundle over the file, logged by its digest of this algorithm; k.pub is the key."""
    curve, kind = KINDS[algorithm]
    key = ec.generate_private_key(curve)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    Path("k.pub").write_bytes(public)
    signature, digest = key.sign(content, ec.ECDSA(kind)), hashlib.new(algorithm, content)
    named: dict[str, Any] = {"publicKey": {"hint": ""}}
    if keyless:
        csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        asked = {"certificateSigningRequest": base64.b64encode(csr.public_bytes(Encoding.PEM)).decode()}
        token = {"Authorization": f"Bearer {instance.token(email='ann@example.com')}"}
        answer = instance.fulcio.signing_certificate(json.dumps(asked).encode(), token)
        public = answer["signedCertificateEmbeddedSct"]["chain"]["certificates"][0].encode()
        der = x509.load_pem_x509_certificate(public).public_bytes(Encoding.DER)
        named = {"certificate": {"rawBytes": base64.b64encode(der).decode()}}
    sig = base64.b64encode(signature).decode()
    spec = {
        "data": {"hash": {"algorithm": algorithm, "value": digest.hexdigest()}},
        "signature": {"content": sig, "publicKey": {"content": base64.b64encode(public).decode()}},
    }
    proposal = {"kind": "hashedrekord", "apiVersion": "0.0.1", "spec": spec}
    entry = rekor_answers.entry_of(instance.rekor_v1.add(json.dumps(proposal).encode(), {}))
    said = {"algorithm": f"SHA2_{algorithm[3:]}", "digest": base64.b64encode(digest.digest()).decode()}
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {**named, "tlogEntries": [entry]},
        "messageSignature": {"messageDigest": said, "signature": sig},
    }


def verify(bundle: dict[str, Any], instance: PrivateSigstore, file: str, *, keyless: bool) -> int:
    Path("b.json").write_text(json.dumps(bundle))
    Path("root.json").write_bytes(instance.trusted_root())
    who = ANN if keyless else ("--key", "k.pub")
    return main.invoke(["attest", "verify-bundle", "--bundle", "b.json", *who, "--trusted-root", "root.json", file])


@pytest.mark.parametrize("keyless", [True, False], ids=["keyless", "key"])
@pytest.mark.parametrize("algorithm", KINDS)
def test_the_digest_that_the_bundle_names(
    instance: PrivateSigstore, algorithm: str, keyless: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f").write_bytes(FILE)
    Path("other").write_bytes(b"other")
    bundle = blob(instance, algorithm, keyless=keyless)
    assert verify(bundle, instance, "f", keyless=keyless) == 0
    assert verify(bundle, instance, f"{algorithm}:{hashlib.new(algorithm, FILE).hexdigest()}", keyless=keyless) == 0
    assert verify(bundle, instance, "other", keyless=keyless) == 3
    assert verify(bundle, instance, f"sha256:{hashlib.sha256(FILE).hexdigest()}", keyless=keyless) == 2
    stolen = blob(instance, algorithm, keyless=keyless, content=b"other")
    swapped = {**stolen, "messageSignature": {**stolen["messageSignature"],
        "messageDigest": bundle["messageSignature"]["messageDigest"]}}  # fmt: skip
    assert verify(swapped, instance, "f", keyless=keyless) == 3, "it says another digest than it signs"


def test_one_that_needs_another_digest_hides_no_verdict(
    instance: PrivateSigstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [blob(instance, algorithm, keyless=True) for algorithm in KINDS]
    Path("b.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Path("root.json").write_bytes(instance.trusted_root())
    command = ["attest", "verify-bundle", "--json", "--bundle", "b.jsonl", *ANN, "--trusted-root", "root.json"]
    assert main.invoke([*command, f"sha512:{hashlib.sha512(FILE).hexdigest()}"]) == 3
    verdicts = json.loads(capfd.readouterr().out)["verdicts"]
    assert [row["verified"] for row in verdicts] == [False, True]
    assert "judged by its sha384" in verdicts[0]["error"]


def test_a_digest_that_is_none(
    instance: PrivateSigstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f").write_bytes(FILE)
    bundle = blob(instance, "sha384", keyless=True)
    for name, digest, why in (("SHA2_384", "AAAA", "has 3 bytes, not 48"), ("SHA1", "AAAA", "is none of SHA2_256")):
        bundle["messageSignature"]["messageDigest"] = {"algorithm": name, "digest": digest}
        assert verify(bundle, instance, "f", keyless=True) == 3
        assert why in capfd.readouterr().err


@pytest.mark.parametrize("algorithm", KINDS)
def test_a_key_signs_sha256_or_its_curves_own_hash(algorithm: str) -> None:
    from attest.errors import VerificationError
    from attest.keys import keys

    curve, kind = KINDS[algorithm]
    other = "sha512" if algorithm == "sha384" else "sha384"
    key = ec.generate_private_key(curve)
    signature = key.sign(FILE, ec.ECDSA(KINDS[other][1]))
    digest = hashlib.new(other, FILE).digest()
    with pytest.raises(VerificationError, match="is none that such a key signs"):
        keys.verify_artifact(key.public_key(), signature, digest, None)
    assert (
        keys.verify_artifact(
            key.public_key(), key.sign(FILE, ec.ECDSA(kind)), hashlib.new(algorithm, FILE).digest(), None
        )
        is None
    )  # type: ignore[func-returns-value]
