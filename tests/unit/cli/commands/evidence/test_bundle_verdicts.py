"""`attest verify-bundle` with several bundles and files: one verdict each, whatever the others are."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from attest.digests import sha256
from attest.sigstore.sigstore_bundles import MEDIA_TYPE
from attest.statements import statements
from attest.statements.envelopes import Envelope, pae
from attest.statements.statements import PAYLOAD_TYPE
from cli.main import invoke

DATA = Path(__file__).parents[4] / "data"
FORMS, BUNDLES = DATA / "forms", DATA / "sigstore-bundles"
ROOTS = BUNDLES / "trusted_root.jsonl"
NPM = "https://github.com/ramonpetgrave64/gundam-visor/.github/workflows/npm-publish.yml@refs/tags/v1.0.1"
ACTIONS = "https://token.actions.githubusercontent.com"


def npm_subject() -> str:
    document = json.loads((FORMS / "npm.attestations.json").read_bytes())
    payload = json.loads(base64.b64decode(document["attestations"][1]["bundle"]["dsseEnvelope"]["payload"]))
    return f"sha512:{payload['subject'][0]['digest']['sha512']}"


def verify(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = invoke(["attest", "verify-bundle", *map(str, words), "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


def signer(identity: str = NPM) -> tuple[str, ...]:
    roots = ("--trusted-root", str(ROOTS))
    return ("--certificate-identity", identity, "--certificate-oidc-issuer", ACTIONS, *roots)


def test_each_signature_of_a_file_has_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = verify(capsys, "--bundle", FORMS / "npm.attestations.json", *signer(), npm_subject())
    publish, provenance = found["verdicts"]
    assert code == 3 and not found["verified"], "npm's own publication is signed by its key"
    assert "signed by a key" in publish["error"] and publish["place"] == "attestations[0].bundle"
    assert provenance["verified"] and provenance["identity"].endswith("@refs/tags/v1.0.1")


def test_bundles_and_files_go_in_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (FORMS / "gh.download.jsonl").read_bytes().splitlines()
    (tmp_path / "one.json").write_bytes(lines[0])
    words = ("--bundle", tmp_path / "one.json", "--bundle", FORMS / "npm.attestations.json", *signer())
    code, found = verify(capsys, *words, "sha512:" + "0" * 128, npm_subject())
    wrong, publish, provenance = found["verdicts"]
    assert code == 3 and [row["verified"] for row in found["verdicts"]] == [False, False, True]
    assert wrong["file"].startswith("sha512:000") and provenance["file"] == npm_subject()
    assert verify(capsys, *words, npm_subject(), npm_subject(), npm_subject())[0] == 2
    assert publish["bundle"] == str(FORMS / "npm.attestations.json")


@pytest.mark.parametrize("artifact", ["sha1:" + "0" * 40, "sha512:" + "0" * 64, "md5:x", "SHA512:" + "0" * 128])
def test_what_names_no_artifact_is_refused(artifact: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(capsys, "--bundle", FORMS / "gh.download.jsonl", *signer(), artifact)[0] == 2


def test_a_blob_is_judged_by_its_sha256(capsys: pytest.CaptureFixture[str]) -> None:
    blob = ("--bundle", FORMS / "cosign.blob.sigstore.json")
    who = ("--certificate-identity", "w.vollprecht@gmail.com", "--certificate-oidc-issuer")
    words = (*blob, *who, "https://github.com/login/oauth", "--trusted-root", ROOTS)
    assert verify(capsys, *words, FORMS / "cosign.blob.txt")[0] == 0
    assert verify(capsys, *words, FORMS / "ORIGIN.md")[0] == 3
    assert verify(capsys, *words, "sha512:" + "0" * 128)[0] == 2


def test_no_words_of_a_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = json.loads((FORMS / "cosign.blob.sigstore.json").read_bytes())
    for number, change in enumerate(({"verificationMaterial": {}}, {"mediaType": "x"}, {"messageSignature": 3})):
        (tmp_path / f"{number}.json").write_text(json.dumps({**good, **change}))
        assert invoke(["attest", "verify-bundle", "--bundle", str(tmp_path / f"{number}.json"), *signer(), "a"]) == 3
        said = capsys.readouterr().err
        assert "pydantic" not in said and "http" not in said.partition("hint:")[0]


@pytest.mark.parametrize("kind", ["p384", "p384-sha256", "rsa", "rsa-pss"])
def test_keys_that_others_sign_with(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A statement by a key that casstore itself never signs with."""
    (tmp_path / "a.txt").write_bytes(b"artifact")
    payload = statements.of_digests({"a.txt": sha256(b"artifact")}, "https://example.com/p", {}).to_bytes()
    key: Any = (
        ec.generate_private_key(ec.SECP384R1()) if kind.startswith("p384") else rsa.generate_private_key(65537, 2048)
    )
    data = pae(PAYLOAD_TYPE, payload)
    if kind.startswith("p384"):
        signature = key.sign(data, ec.ECDSA(hashes.SHA256() if kind.endswith("256") else hashes.SHA384()))
    else:
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        signature = key.sign(data, pss if kind.endswith("pss") else padding.PKCS1v15(), hashes.SHA256())
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pub").write_bytes(pem)
    material = {"publicKey": {"hint": ""}, "tlogEntries": []}
    envelope = Envelope(PAYLOAD_TYPE, payload, signature).to_json()
    bundle = {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope}
    (tmp_path / "b.json").write_text(json.dumps(bundle))
    words = ("verify", tmp_path / "b.json", tmp_path / "a.txt", "--type", "https://example.com/p")
    assert invoke(["attest", *map(str, words), "--public-key", str(tmp_path / "key.pub")]) == 0
    (tmp_path / "a.txt").write_bytes(b"changed")
    assert invoke(["attest", *map(str, words), "--public-key", str(tmp_path / "key.pub")]) == 3
