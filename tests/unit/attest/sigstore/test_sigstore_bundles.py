from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attest.errors import FormatError
from attest.sigstore import sigstore_bundles
from attest.sigstore.sigstore_bundles import MEDIA_TYPE, SigstoreBundle
from attest.statements.envelopes import Envelope

DATA = Path(__file__).parents[3] / "data" / "sigstore-bundles"
ROWS = json.loads((DATA / "MANIFEST.json").read_bytes())
ENVELOPE = Envelope("application/vnd.in-toto+json", b"payload", b"signature", "k")
RAW = sigstore_bundles.of_managed_key(ENVELOPE, b"spki")


def changed(path: str, value: Any) -> bytes:
    document = json.loads(RAW)
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place[name]
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value
    return json.dumps(document).encode()


def test_there_and_back() -> None:
    bundle = SigstoreBundle.parse(RAW)
    assert bundle.envelope == ENVELOPE
    assert bundle.key_hint == sigstore_bundles.hint_of(b"spki")
    assert bundle.media_type == MEDIA_TYPE
    assert json.loads(RAW)["verificationMaterial"]["tlogEntries"] == []  # sigstore's models require it


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"][-40:])
def test_genuine_bundles_are_read(row: dict[str, Any]) -> None:
    bundle = SigstoreBundle.parse((DATA / row["file"]).read_bytes())
    assert bundle.digest == "sha256:" + row["sha256"]
    assert bundle.certificate and bundle.key_hint is None
    assert bundle.log_entries == (0 if row["root"] == "github" else 1)
    if row["predicate"]:
        payload = json.loads(bundle.statement_envelope.payload)
        assert payload["predicateType"] == row["predicate"]
    else:
        assert bundle.message_signature and bundle.message_signature.digest
        with pytest.raises(FormatError, match="holds no statement"):
            _ = bundle.statement_envelope


@pytest.mark.parametrize("media_type", sigstore_bundles.READ_MEDIA_TYPES)
def test_older_media_types_are_read(media_type: str) -> None:
    assert SigstoreBundle.parse(changed("mediaType", media_type)).media_type == media_type


@pytest.mark.parametrize("hint", [None, ""])
def test_the_hint_may_be_missing(hint: str | None) -> None:
    bundle = SigstoreBundle.parse(changed("verificationMaterial.publicKey.hint", hint))
    assert bundle.key_hint == ""


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("mediaType", None, "mediaType is"),
        ("mediaType", "application/vnd.dev.sigstore.bundle.v0.4+json", "mediaType is"),
        ("mediaType", ["x"], "mediaType is"),
        ("dsseEnvelope", None, "exactly one of dsseEnvelope"),
        ("messageSignature", {"signature": "AA=="}, "exactly one of dsseEnvelope"),
        ("dsseEnvelope", "x", "not an object"),
        ("verificationMaterial", None, "verificationMaterial is no object"),
        ("verificationMaterial.publicKey", None, "exactly one of publicKey"),
        ("verificationMaterial.certificate", {"rawBytes": "AA=="}, "exactly one of publicKey"),
        ("verificationMaterial.publicKey", "x", "publicKey is no object"),
        ("verificationMaterial.publicKey.hint", 5, "hint is no text"),
        ("verificationMaterial.tlogEntries", {}, "tlogEntries is no list"),
        ("verificationMaterial.timestampVerificationData", "x", "rfc3161Timestamps is no list"),
        ("dsseEnvelope.signatures", [{"sig": "AA=="}, {"sig": "AA=="}], "2 signatures"),
    ],
)
def test_refused(path: str, value: Any, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        SigstoreBundle.parse(changed(path, value))


@pytest.mark.parametrize("holder", [{"certificates": []}, {"certificates": ["x"]}, {}])
def test_an_empty_certificate_chain_is_refused(holder: dict[str, Any]) -> None:
    document = json.loads(RAW)
    document["verificationMaterial"] = {"x509CertificateChain": holder}
    with pytest.raises(FormatError, match="chain is empty"):
        SigstoreBundle.parse(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("digest", "why"),
    [
        ({"algorithm": "SHA3_512", "digest": "AA=="}, "none of SHA2_256, SHA2_384, SHA2_512"),
        ({"algorithm": "SHA2_256", "digest": "AA=="}, "1 bytes"),
        ("x", "none of SHA2_256, SHA2_384, SHA2_512"),
    ],
)
def test_a_message_digest_is_of_sha2(digest: Any, why: str) -> None:
    document = json.loads(RAW)
    del document["dsseEnvelope"]
    document["messageSignature"] = {"signature": "AA==", "messageDigest": digest}
    with pytest.raises(FormatError, match=why):
        SigstoreBundle.parse(json.dumps(document).encode())


def test_a_key_that_stands_twice_is_refused() -> None:
    twice = RAW.replace(b'{"dsseEnvelope"', b'{"mediaType":"x","dsseEnvelope"')
    with pytest.raises(FormatError, match="stands twice"):
        SigstoreBundle.parse(twice)
