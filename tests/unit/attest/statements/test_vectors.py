"""The suites that this field judges by: signatures, JSON, canonical JSON, Merkle proofs (origin: tests/data)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from vectors import packed, zipped_json

from attest import canonical
from attest.errors import CasstoreError, FormatError, VerificationError
from attest.keys import keys
from attest.log import merkle

ED25519 = "wycheproof/ed25519_test.json.gz"
P256 = "wycheproof/ecdsa_secp256r1_sha256_test.json.gz"


@pytest.mark.parametrize(("name", "count"), [(ED25519, 150), (P256, 480)], ids=["ed25519", "p256"])
def test_wycheproof_signatures(name: str, count: int) -> None:
    judged = 0
    for group in zipped_json(name)["testGroups"]:
        public = keys.public_from_pem(group["publicKeyPem"].encode())
        for case in group["tests"]:
            signature, message = bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
            assert _holds(public, signature, message) is (case["result"] == "valid"), case
            judged += 1
    assert judged >= count


def _holds(public: keys.PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        keys.verify_signature(public, signature, message)
    except VerificationError:
        return False
    return True


JSON_FILES = {
    name.partition("/")[2]: raw
    for name, raw in packed("json-test-suite/test_parsing.tar.gz").items()
    if name.startswith("test_parsing/") and name.endswith(".json")
}
REFUSED_ON_PURPOSE = {
    "y_object_duplicated_key.json": "stands twice",
    "y_object_duplicated_key_and_value.json": "stands twice",
    "y_number.json": "beyond",
    "y_number_real_capital_e.json": "beyond",
    "y_number_real_exponent.json": "beyond",
    "y_number_real_fraction_exponent.json": "beyond",
    "y_object_extreme_numbers.json": "beyond",
}
"""What RFC 8259 allows and two readers could understand differently."""


def test_json_test_suite_is_all_here() -> None:
    assert len(JSON_FILES) == 318


@pytest.mark.parametrize("name", sorted(JSON_FILES))
def test_json_test_suite(name: str) -> None:
    raw, taken = JSON_FILES[name], True
    try:
        canonical.loads(raw, what=name)
    except FormatError as exc:
        taken = False
        refused_on_purpose = REFUSED_ON_PURPOSE.get(name)
        assert refused_on_purpose is None or refused_on_purpose in exc.message
    if name in REFUSED_ON_PURPOSE or name.startswith("n_"):
        assert not taken
    elif name.startswith("y_"):
        assert taken


RFC8785 = packed("rfc8785/testdata.tar.gz")
CANONICAL = sorted(name.rpartition("/")[2] for name in RFC8785 if name.startswith("testdata/input/"))


@pytest.mark.parametrize("name", CANONICAL)
def test_rfc8785(name: str) -> None:
    given, wanted = RFC8785[f"testdata/input/{name}"], RFC8785[f"testdata/output/{name}"]
    if name == "values.json":
        assert json.loads(wanted) == json.loads(given)
        with pytest.raises(FormatError, match="beyond"):
            canonical.loads(given, what=name)
        return
    assert canonical.dumps(canonical.loads(given, what=name)) == wanted
    assert canonical.dumps(canonical.loads(wanted, what=name)) == wanted


def test_rfc8785_is_all_here() -> None:
    assert len(CANONICAL) == 6


PROOFS = {
    name.removeprefix("testdata/"): json.loads(raw)
    for name, raw in packed("merkle/testdata.tar.gz").items()
    if name.endswith(".json")
}


NO_HASHES = "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json"
"""Its two equal root hashes are words, not hashes; we look at the length first."""


def test_merkle_proofs_are_all_here() -> None:
    assert sum(name.startswith("inclusion/") for name in PROOFS) == 98
    assert sum(name.startswith("consistency/") for name in PROOFS) == 98


@pytest.mark.parametrize("name", sorted(PROOFS))
def test_merkle_proofs(name: str) -> None:
    case = PROOFS[name]
    judge = _inclusion if name.startswith("inclusion/") else _consistency
    if case["wantErr"]:
        with pytest.raises(CasstoreError):
            judge(case)
    elif name == NO_HASHES:
        with pytest.raises(VerificationError, match="not 32 bytes"):
            judge(case)
    else:
        judge(case)


def _inclusion(case: dict[str, Any]) -> None:
    proof = [_raw(item) for item in case["proof"] or ()]
    merkle.verify_inclusion(
        _raw(case["leafHash"]), index=case["leafIdx"], size=case["treeSize"], proof=proof, root=_raw(case["root"])
    )


def _consistency(case: dict[str, Any]) -> None:
    merkle.verify_consistency(
        first=case["size1"],
        second=case["size2"],
        proof=[_raw(item) for item in case["proof"] or ()],
        first_root=_raw(case["root1"]),
        second_root=_raw(case["root2"]),
    )


def _raw(text: str | None) -> bytes:
    return base64.b64decode(text or "")
