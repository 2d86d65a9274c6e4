from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from attest import signers
from attest.digests import sha256
from attest.errors import BadInput, SignerError, VerificationError
from attest.keys import keys
from attest.signers.uri import UriSigner
from attest.sigstore.sigstore_bundles import SigstoreBundle, hint_of
from attest.statements import statements
from attest.trust.verify import verify_with_key

SUBJECT = sha256(b"artifact")
TYPE = "https://example.com/p/v1"
PAYLOAD = statements.of_digests({"artifact": SUBJECT}, TYPE, {}).to_bytes()


def files(**content: bytes) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        if path not in content:
            raise FileNotFoundError(2, "No such file or directory")
        return content[path]

    return read


def never() -> bytes | None:
    raise AssertionError("no passphrase is needed here")


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_key_in_memory_signs_a_bundle_with_one_signature(algorithm: str) -> None:
    key = keys.generate(algorithm)
    signer = signers.from_private_key(key)
    bundle = SigstoreBundle.parse(signer.sign_statement(PAYLOAD))
    assert bundle.statement_envelope.payload == PAYLOAD
    assert bundle.key_hint == hint_of(keys.public_to_der(key.public_key()))
    assert (bundle.log_entries, bundle.timestamps, bundle.certificate) == (0, 0, None)
    assert signer.public_pem is not None
    found = verify_with_key(bundle.raw, signer.public_pem, predicate_type=TYPE, subjects=[SUBJECT])
    assert found.identity == signer.identity == keys.identity_of_pem(signer.public_pem)
    keys.verify_signature(key.public_key(), signer.sign_bytes(b"raw"), b"raw")


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_the_same_key_serves_tuf_and_in_toto(algorithm: str) -> None:
    native = signers.from_private_key(keys.generate(algorithm)).as_securesystemslib()
    native.public_key.verify_signature(native.sign(b"metadata"), b"metadata")


@pytest.mark.parametrize("uri", ["release.pem", "file:release.pem", "FILE:release.pem"])
def test_a_key_file_without_passphrase_asks_for_none(uri: str) -> None:
    key = keys.generate()
    read = files(**{"release.pem": keys.private_to_pem(key, None)})
    signer = signers.open_signer(uri, read=read, password=never)
    assert signer.identity == keys.identity_of(key.public_key())


def test_an_encrypted_key_file_asks_once() -> None:
    key, asked = keys.generate("ed25519"), []

    def password() -> bytes:
        asked.append(1)
        return b"secret"

    read = files(**{"/keys/r.pem": keys.private_to_pem(key, b"secret")})
    signer = signers.open_signer("file:///keys/r.pem", read=read, password=password)
    assert signer.identity == keys.identity_of(key.public_key())
    assert asked == [1]
    with pytest.raises(SignerError, match=r"/keys/r.pem: .*wrong passphrase"):
        signers.open_signer("/keys/r.pem", read=read, password=lambda: b"other")


def test_a_missing_key_file_is_told() -> None:
    with pytest.raises(SignerError, match=r"key file no\.pem cannot be read: No such file") as caught:
        signers.open_signer("no.pem", read=files(), password=never)
    assert "--key" in caught.value.hint


def test_unknown_schemes_and_gpg_are_refused_with_a_way_out() -> None:
    with pytest.raises(BadInput, match="unknown key scheme 'pkcs12'") as unknown:
        signers.open_signer("pkcs12:x", read=files(), password=never)
    assert "keyless" in unknown.value.hint
    with pytest.raises(SignerError, match="GPG") as gpg:
        signers.open_signer("gnupg:ABCD", read=files(), password=never)
    assert "gpg --detach-sign" in gpg.value.hint


@pytest.mark.parametrize(("uri", "scheme"), [("C:\\keys\\a.pem", "file"), ("./a:b", "file"), ("a.pem", "file"),
                                             ("hsm:", "hsm"), ("awskms:arn:aws:kms:x", "awskms")])  # fmt: skip
def test_scheme_of(uri: str, scheme: str) -> None:
    assert signers.scheme_of(uri) == scheme


class Refusing:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def check(self, url_or_host: str) -> None:
        self.asked.append(url_or_host)
        raise PermissionError(url_or_host)


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("awskms:alias/x", "kms.eu-central-1.amazonaws.com"),
        ("awskms:arn:aws:kms:us-west-2:1:key/x", "kms.us-west-2.amazonaws.com"),
        ("gcpkms:projects/p", "cloudkms.googleapis.com"),
        ("azurekms://vault/key", "vault.vault.azure.net"),
        ("hv:key", "https://vault.example:8200"),
    ],
)
def test_a_kms_asks_the_network_guard_before_anything_else(
    uri: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_KMS", raising=False)
    monkeypatch.setenv("VAULT_ADDR", "https://vault.example:8200")
    guard = Refusing()
    with pytest.raises(PermissionError):
        signers.open_signer(uri, read=files(), password=never, network=guard)
    assert guard.asked == [host]


def test_a_device_that_cannot_be_opened_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYKCS11LIB", raising=False)
    with pytest.raises(SignerError, match="hsm:2") as caught:
        signers.open_signer("hsm:2", read=files(), password=never)
    assert caught.value.hint and "\n" not in caught.value.message


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_key_behind_securesystemslib_signs_the_same_bundle(algorithm: str) -> None:
    signer = signers.from_private_key(keys.generate(algorithm))
    assert signer.public_pem
    behind = UriSigner(signer.as_securesystemslib(), keys.public_from_pem(signer.public_pem))
    assert behind.identity == signer.identity
    found = verify_with_key(behind.sign_statement(PAYLOAD), signer.public_pem, predicate_type=TYPE, subjects=[SUBJECT])
    assert found.payload == PAYLOAD
    assert behind.as_securesystemslib().public_key.keyid


def test_a_device_that_signs_with_another_key_than_it_shows_is_caught() -> None:
    one, other = (signers.from_private_key(keys.generate()) for _ in range(2))
    behind = UriSigner(one.as_securesystemslib(), keys.public_from_pem(other.public_pem or b""))
    with pytest.raises(VerificationError, match="does not match the key"):
        behind.sign_statement(PAYLOAD)


def test_azure_needs_vault_and_key() -> None:
    with pytest.raises(BadInput, match="a vault and a key"):
        signers.open_signer("azurekms://vault", read=files(), password=never)


def test_keyless_needs_a_config() -> None:
    with pytest.raises(SignerError, match=r"config\.json cannot be read"):
        signers.open_signer("keyless:config.json", read=files(), password=never)
    pytest.importorskip("sigstore", reason="keyless signing needs the [keyless] extra")
    with pytest.raises(SignerError, match="the client trust config cannot be used"):
        signers.open_signer("keyless:c", read=files(c=b"{}"), password=never)


def test_a_private_key_never_shows_in_a_repr() -> None:
    assert "PrivateKey" not in repr(signers.from_private_key(keys.generate()))


def test_signing_and_verifying_with_a_key_loads_nothing_heavy() -> None:
    code = f"""
import sys
from attest import digests, signers; from attest.keys import keys; from attest.statements import statements
from attest.trust.verify import verify_with_key
import attest.trust.verify, attest.log.checkpoints, attest.log.tiles
for algorithm in keys.ALGORITHMS:
    signer = signers.open_signer("k", read=lambda _: keys.private_to_pem(keys.generate(algorithm), None), password=str)
    raw = signer.sign_statement({PAYLOAD!r})
    verify_with_key(raw, signer.public_pem, predicate_type={TYPE!r}, subjects=[{SUBJECT!r}])
heavy = {{"sigstore", "sigstore_models", "pydantic", "securesystemslib", "tuf", "in_toto", "requests", "rich"}}
print(sorted(heavy & {{name.partition(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
