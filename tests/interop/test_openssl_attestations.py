"""openssl alone verifies what we sign, by the steps of docs/formats/attestation.md."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from attest import signers
from attest.digests import sha256
from attest.keys import keys
from attest.log import checkpoints
from attest.statements import statements

OPENSSL = shutil.which("openssl")
pytestmark = [
    pytest.mark.foreign,
    pytest.mark.skipif(OPENSSL is None, reason="needs a foreign tool: openssl"),
]
SUBJECT = sha256(b"artifact")
PAYLOAD = statements.of_digests({"artifact": SUBJECT}, "https://example.com/p/v1", {"ü": 1}).to_bytes()
COMMANDS = {
    "ecdsa-p256": ["dgst", "-sha256", "-verify", "key.pub", "-signature", "sig", "pae"],
    "ed25519": ["pkeyutl", "-verify", "-pubin", "-inkey", "key.pub", "-rawin", "-sigfile", "sig", "-in", "pae"],
}


def openssl(folder: Path, *arguments: str) -> int:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *arguments], cwd=folder, capture_output=True, check=False).returncode


def write_parts(folder: Path, bundle: bytes) -> None:
    envelope = json.loads(bundle)["dsseEnvelope"]
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    (folder / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    (folder / "pae").write_bytes(b"DSSEv1 %d %s %d " % (len(kind), kind, len(payload)) + payload)


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_openssl_verifies_our_attestation(algorithm: str, tmp_path: Path) -> None:
    signer = signers.from_private_key(keys.generate(algorithm))
    (tmp_path / "key.pub").write_bytes(signer.public_pem or b"")
    write_parts(tmp_path, signer.sign_statement(PAYLOAD))
    assert openssl(tmp_path, *COMMANDS[algorithm]) == 0
    with (tmp_path / "pae").open("ab") as pae:
        pae.write(b" ")
    assert openssl(tmp_path, *COMMANDS[algorithm]) != 0


@pytest.mark.parametrize("password", [None, b"secret"])
def test_openssl_opens_our_key_and_we_open_its(password: bytes | None, tmp_path: Path) -> None:
    mine = keys.generate()
    (tmp_path / "mine").write_bytes(keys.private_to_pem(mine, password))
    secret = ["-passin", f"pass:{password.decode()}"] if password else []
    assert openssl(tmp_path, "pkey", "-in", "mine", *secret, "-pubout", "-out", "mine.pub") == 0
    assert keys.identity_of_pem((tmp_path / "mine.pub").read_bytes()) == keys.identity_of(mine.public_key())
    cipher = ["-aes256", "-pass", "pass:secret"] if password else []
    assert openssl(tmp_path, "genpkey", "-algorithm", "ed25519", *cipher, "-out", "its") == 0
    assert keys.algorithm_of(keys.private_from_pem((tmp_path / "its").read_bytes(), password)) == "ed25519"


def test_openssl_verifies_our_checkpoint(tmp_path: Path) -> None:
    signer = signers.from_private_key(keys.generate("ed25519"))
    checkpoint = checkpoints.Checkpoint("log.example/x", 3, b"\0" * 32)
    raw = checkpoints.sign(checkpoint, "log.example/x", signer.public_pem, signer.sign_bytes)
    text, line = raw.decode().split("\n\n")
    (tmp_path / "key.pub").write_bytes(signer.public_pem or b"")
    (tmp_path / "pae").write_bytes(f"{text}\n".encode())
    (tmp_path / "sig").write_bytes(base64.b64decode(line.split(" ")[2])[4:])
    assert openssl(tmp_path, *COMMANDS["ed25519"]) == 0


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_securesystemslib_verifies_our_envelope(algorithm: str) -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    key = keys.generate(algorithm)
    envelope = json.loads(signers.from_private_key(key).sign_statement(PAYLOAD))["dsseEnvelope"]
    public = SSlibKey.from_crypto(key.public_key())
    public.keyid = envelope["signatures"][0]["keyid"]  # it looks keys up by it alone
    assert Envelope.from_dict(envelope).verify([public], 1)
