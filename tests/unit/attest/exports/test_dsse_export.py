"""Bare envelopes: the bytes that were signed, verified by securesystemslib's own DSSE."""

from __future__ import annotations

import json

import moves
import pytest
from moves import ARCHIVES, NOW, signer
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from attest.digests import sha256
from attest.errors import FormatError
from attest.exports import dsse_export
from attest.keys import keys
from attest.statements.predicates import vsa


def summary(result: str = "PASSED") -> bytes:
    claim = vsa.VerificationSummary("https://v.example", NOW, "pkg:generic/core@1.4.0", "urn:p", sha256(b"p"), result)
    return moves.attest("pam", vsa.TYPE, ARCHIVES, claim.to_json())


def test_another_library_verifies_it() -> None:
    public = keys.public_from_pem(signer("pam").public_pem or b"")
    value = json.loads(dsse_export.bare(summary()))
    known = SSlibKey.from_crypto(public)
    known.keyid = value["signatures"][0]["keyid"]  # it looks keys up by it alone
    assert Envelope.from_dict(value).verify([known], 1)


def test_the_payload_is_kept_to_the_byte() -> None:
    raw = summary()
    before = json.loads(raw)["dsseEnvelope"]
    after = json.loads(dsse_export.bare(raw))
    assert (after["payload"], after["payloadType"]) == (before["payload"], before["payloadType"])
    assert after["signatures"][0]["sig"] == before["signatures"][0]["sig"]


def test_the_command_for_a_summary_names_what_to_check() -> None:
    raw = summary()
    command = dsse_export.vsa_command(raw, dsse_export.file_name(raw))
    assert command.startswith("slsa-verifier verify-vsa --attestation-path vsa-")
    assert "--resource-uri pkg:generic/core@1.4.0" in command
    assert f"--subject-digest {min(ARCHIVES.values())}" in command
    assert dsse_export.vsa_command(moves.approval("ann"), "x") == ""


def test_names_of_files() -> None:
    assert dsse_export.file_name(moves.approval("ann")).startswith("approval-")
    foreign = moves.attest("ann", "https://example.com/p/v1", ARCHIVES, {})
    assert dsse_export.file_name(foreign).startswith("statement-")
    with pytest.raises(FormatError):
        dsse_export.file_name(b"{}")
