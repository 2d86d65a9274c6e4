"""A key in a hardware security module: PKCS#11 by SoftHSM2, the same identity and bundle as from a file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attest import signers
from attest.digests import sha256
from attest.errors import SignerError
from attest.keys import keys
from attest.statements import statements
from attest.trust.verify import verify_with_key

pytestmark = pytest.mark.foreign

SUBJECT, TYPE = sha256(b"artifact"), "https://example.com/p/v1"
PAYLOAD = statements.of_digests({"artifact": SUBJECT}, TYPE, {}).to_bytes()
KEY = keys.generate()
LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
URI = "hsm:2?label=release+keys"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A token of its own, holding KEY under id 2; the PIN is 4711."""
    pytest.importorskip("pkcs11", reason="PKCS#11 needs the [hsm] extra")
    library = next((path for path in LIBRARIES if os.path.exists(path)), None)
    if library is None or shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2 is not installed")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        patch.setenv("PYKCS11LIB", library)
        _fill(folder)
        yield


def _fill(folder: Path) -> None:
    pem = folder / "key.pem"
    pem.write_bytes(keys.private_to_pem(KEY, None))
    by = ("--label", "release keys", "--pin", "4711")
    for words in (
        ("--init-token", "--free", "--so-pin", "4711", *by),
        ("--import", str(pem), "--id", "02", "--token", "release keys", *by),
    ):
        done = subprocess.run(["softhsm2-util", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout


def open_with(pin: bytes | None, uri: str = URI) -> signers.Signer:
    def read(_: str) -> bytes:
        raise AssertionError("no file is read")

    return signers.open_signer(uri, read=read, password=lambda: pin)


def test_the_device_signs_the_same_attestation(token: None) -> None:
    signer = open_with(b"4711")
    assert signer.identity == keys.identity_of(KEY.public_key())
    raw = signer.sign_statement(PAYLOAD)
    assert signer.public_pem
    assert verify_with_key(raw, signer.public_pem, predicate_type=TYPE, subjects=[SUBJECT]).payload == PAYLOAD
    keys.verify_signature(KEY.public_key(), signer.sign_bytes(b"raw"), b"raw")


def test_the_pin_is_asked_for_once_a_session(token: None) -> None:
    asked: list[int] = []

    def pin() -> bytes:
        asked.append(1)
        return b"4711"

    signer = signers.open_signer(URI, read=lambda _: b"", password=pin)
    for _ in range(3):
        signer.sign_statement(PAYLOAD)
    assert asked == [1]


def test_the_device_serves_tuf_and_in_toto(token: None) -> None:
    native = open_with(b"4711").as_securesystemslib()
    native.public_key.verify_signature(native.sign(b"metadata"), b"metadata")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: open_with(b"0000").sign_statement(PAYLOAD), "did not sign: PinIncorrect"),
        (lambda: open_with(None).sign_statement(PAYLOAD), "asks for its pin"),
        (lambda: open_with(b"4711", "hsm:9?label=release+keys"), "hsm:9"),
        (lambda: open_with(b"4711", "hsm:2?label=other"), "No PKCS#11 token found"),
    ],
    ids=["wrong-pin", "no-pin", "no-key", "no-token"],
)
def test_what_goes_wrong_is_told(token: None, change: Callable[[], object], words: str) -> None:
    with pytest.raises(SignerError, match=words) as caught:
        change()
    assert caught.value.hint and "\n" not in caught.value.message
