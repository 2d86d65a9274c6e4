"""Whoever serves genuine attestations, in each form that registries and tools have: parts of two never make a third."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest.errors import CasstoreError
from attest.sigstore import forms, keyless
from attest.sigstore.sigstore_bundles import SigstoreBundle

DATA = Path(__file__).parents[1] / "data"
ROOTS = (DATA / "sigstore-bundles" / "trusted_root.jsonl").read_bytes()
PUBLIC, GITHUB = ROOTS.splitlines()
AT = datetime(2026, 9, 1, tzinfo=UTC)
Json = dict[str, Any]


def genuine() -> Iterator[tuple[str, Json]]:
    """Every keyless signature of the genuine files, as the bundle that its form becomes."""
    folder = DATA / "forms"
    for name in ("pypi.provenance.json", "npm.attestations.json", "gh.download.jsonl", "github.release.sigstore.json",
                 "cosign.blob.sigstore.json", "model.sig"):  # fmt: skip
        for number, piece in enumerate(forms.read((folder / name).read_bytes())):
            if piece.raw is not None and SigstoreBundle.parse(piece.raw).certificate is not None:
                yield f"{name}-{number}", json.loads(piece.raw)


GENUINE = dict(genuine())


def verify(bundle: Json, root: bytes = ROOTS, at: datetime = AT) -> keyless.KeylessSignature:
    raw = json.dumps(bundle).encode()
    message = SigstoreBundle.parse(raw).message_signature
    if message is None:
        return keyless.verify_keyless(raw, trusted_root_json=root, at=at)
    return keyless.verify_keyless_artifact(raw, message.digest or "", trusted_root_json=root, at=at)


def instance_of(bundle: Json) -> bytes:
    """The line of the two that this bundle belongs to."""
    return PUBLIC if bundle["verificationMaterial"].get("tlogEntries") else GITHUB


def proofs(material: Json) -> list[Json]:
    return [entry["inclusionProof"] for entry in material.get("tlogEntries", []) if entry.get("inclusionProof")]


def swapped_certificate(bundle: Json, other: Json) -> None:
    material, of_other = bundle["verificationMaterial"], other["verificationMaterial"]
    for name in ("certificate", "x509CertificateChain"):
        material.pop(name, None)
        if name in of_other:
            material[name] = of_other[name]


def swapped_entries(bundle: Json, other: Json) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"].get("tlogEntries", [])


def swapped_stamps(bundle: Json, other: Json) -> None:
    stamps = other["verificationMaterial"].get("timestampVerificationData")
    bundle["verificationMaterial"].update(timestampVerificationData=stamps, tlogEntries=[])


def swapped_content(bundle: Json, other: Json) -> None:
    for name in ("dsseEnvelope", "messageSignature"):
        bundle.pop(name, None)
        if name in other:
            bundle[name] = other[name]


def swapped_material(bundle: Json, other: Json) -> None:
    bundle.update(verificationMaterial=other["verificationMaterial"], mediaType=other["mediaType"])


SWAPS = (swapped_certificate, swapped_entries, swapped_stamps, swapped_content, swapped_material)


@pytest.mark.parametrize("swap", SWAPS, ids=lambda swap: swap.__name__)
@pytest.mark.parametrize("name", GENUINE)
def test_parts_of_two_genuine_ones(name: str, swap: Callable[[Json, Json], None]) -> None:
    assert verify(GENUINE[name]).identity
    for other_name, other in GENUINE.items():
        if other_name != name and other != GENUINE[name]:
            bundle = copy.deepcopy(GENUINE[name])
            swap(bundle, copy.deepcopy(other))
            with pytest.raises(CasstoreError):
                verify(bundle)


def no_proofs(bundle: Json) -> None:
    bundle["verificationMaterial"].update(tlogEntries=[], timestampVerificationData=None)


def cut_chain(bundle: Json) -> None:
    """A chain whose second certificate did not make the first."""
    material = bundle["verificationMaterial"]
    leaf = material.pop("certificate", None) or material["x509CertificateChain"]["certificates"][0]
    root = json.loads(PUBLIC)["certificateAuthorities"][-1]["certChain"]["certificates"][-1]
    material["x509CertificateChain"] = {"certificates": [leaf, root]}
    bundle["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2"


def cut_proof(bundle: Json) -> None:
    found = [*proofs(bundle["verificationMaterial"])]
    for proof in found:
        proof["hashes"] = proof["hashes"][:-1]
    if not found:
        no_proofs(bundle)


def another_time(bundle: Json) -> None:
    material = bundle["verificationMaterial"]
    for entry in material.get("tlogEntries", []):
        entry["integratedTime"] = str(int(entry["integratedTime"]) + 60)
    if not material.get("tlogEntries"):
        no_proofs(bundle)


def another_subject(bundle: Json) -> None:
    if "dsseEnvelope" not in bundle:
        bundle["messageSignature"]["messageDigest"]["digest"] = base64.b64encode(bytes(32)).decode()
        return
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    statement["subject"].append({"name": "evil", "digest": {"sha256": "0" * 64}})
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()


CHANGES = (no_proofs, cut_chain, cut_proof, another_time, another_subject)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("name", GENUINE)
def test_a_genuine_one_that_was_changed(name: str, change: Callable[[Json], None]) -> None:
    bundle = copy.deepcopy(GENUINE[name])
    change(bundle)
    assert bundle != GENUINE[name]
    with pytest.raises(CasstoreError):
        verify(bundle)


@pytest.mark.parametrize("name", GENUINE)
def test_the_wrong_instance_and_the_wrong_time(name: str) -> None:
    bundle = GENUINE[name]
    own = instance_of(bundle)
    signed = verify(bundle, own).signed_at
    with pytest.raises(CasstoreError):
        verify(bundle, PUBLIC if own == GITHUB else GITHUB)
    with pytest.raises(CasstoreError, match="after the time of judgement"):
        verify(bundle, own, signed.replace(year=signed.year - 1))
    root = json.loads(own)
    for authority in root["certificateAuthorities"]:
        authority["validFor"] = {"start": "2020-01-01T00:00:00Z", "end": f"{signed.year - 1}-01-01T00:00:00Z"}
    with pytest.raises(CasstoreError, match="certificate authority"):
        verify(bundle, json.dumps(root).encode())
