"""What we sign is counted by Go's DSSE library: slsa-verifier, sigstore-go and in-toto-golang stand on it.

Its rule is computed here: a signature that names a key id counts only when that is the verifier's own id of
the key, the SSH fingerprint where none was given. https://github.com/secure-systems-lab/go-securesystemslib
(dsse/verify.go, and its test vector TestVerifyPublicKeyID).
"""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attest import signers
from attest.digests import sha256
from attest.exports import dsse_export
from attest.keys import keys
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import statements
from attest.statements.envelopes import pae
from attest.trust.verify import verify_with_key

X = 46950820868899156662930047687818585632848591499744589407958293238635476079160
Y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
VECTOR = "SHA256:f4AuBLdH4Lj/dIuwAUXXebzoI9B/cJ4iSQ3/qByIl4M"

TYPE, SUBJECT = "https://example.com/p/v1", sha256(b"artifact")
PAYLOAD = statements.of_digests({"artifact": SUBJECT}, TYPE, {}).to_bytes()


def sha256_key_id(public: keys.PublicKey) -> str:
    """ssh.FingerprintSHA256: unpadded base64 over the SSH wire form of the key."""
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    wire = base64.b64decode(line.split()[1])
    return f"SHA256:{base64.b64encode(hashlib.sha256(wire).digest()).decode().rstrip('=')}"


def accepted(envelope: dict[str, object], public: keys.PublicKey) -> int:
    """How many signatures Go's EnvelopeVerifier would count."""
    found, payload = 0, base64.b64decode(str(envelope["payload"]))
    for signature in envelope["signatures"]:  # type: ignore[attr-defined]
        if signature.get("keyid", "") not in ("", sha256_key_id(public)):
            continue
        keys.verify_signature(public, base64.b64decode(signature["sig"]), pae(str(envelope["payloadType"]), payload))
        found += 1
    return found


def test_the_rule_is_the_librarys() -> None:
    assert sha256_key_id(ec.EllipticCurvePublicNumbers(X, Y, ec.SECP256R1()).public_key()) == VECTOR


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_what_a_managed_key_signs_counts(algorithm: str) -> None:
    key = keys.generate(algorithm)
    raw = signers.from_private_key(key).sign_statement(PAYLOAD)
    public = key.public_key()
    assert accepted(json.loads(raw)["dsseEnvelope"], public) == 1
    assert accepted(json.loads(dsse_export.bare(raw)), public) == 1


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_one_with_a_key_id_of_another_formula_is_still_read_by_us_and_exported_without(algorithm: str) -> None:
    key = keys.generate(algorithm)
    document = json.loads(signers.from_private_key(key).sign_statement(PAYLOAD))
    document["dsseEnvelope"]["signatures"][0]["keyid"] = hashlib.sha256(
        keys.public_to_der(key.public_key())
    ).hexdigest()
    raw, pem = json.dumps(document).encode(), keys.public_to_pem(key.public_key())
    assert accepted(document["dsseEnvelope"], key.public_key()) == 0, "Go skips it"
    assert accepted(json.loads(dsse_export.bare(raw)), key.public_key()) == 1
    assert verify_with_key(raw, pem, predicate_type=TYPE, subjects=[SUBJECT])
    assert SigstoreBundle.parse(raw).statement_envelope.keyid
