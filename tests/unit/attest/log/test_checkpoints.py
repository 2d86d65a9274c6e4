from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from attest import signers
from attest.digests import sha256, to_raw
from attest.errors import BadInput, FormatError, TrustError, VerificationError
from attest.keys import keys
from attest.log import checkpoints
from attest.log.checkpoints import Checkpoint, NoteKey
from attest.signers import Signer

ORIGIN = "casstore.dev/store/main"
ROOT = to_raw(sha256(b"root"))
CHECKPOINT = Checkpoint(ORIGIN, 7, ROOT)
SIGNER = signers.from_private_key(keys.generate("ed25519"))
OTHER = signers.from_private_key(keys.generate("ed25519"))
assert SIGNER.public_pem and OTHER.public_pem
KEY = NoteKey.of_pem(ORIGIN, SIGNER.public_pem)
OTHER_KEY = NoteKey.of_pem("witness.example", OTHER.public_pem)
RAW = checkpoints.sign(CHECKPOINT, ORIGIN, SIGNER.public_pem, SIGNER.sign_bytes)


def _signed_too(raw: bytes, name: str, signer: Signer) -> bytes:
    """One more signature line below a note."""
    signature = signer.sign_bytes(raw.partition(b"\n\n")[0] + b"\n")
    return raw + checkpoints.line(name, NoteKey.of_pem(name, signer.public_pem or b"").key_id + signature)


TWICE = _signed_too(RAW, "witness.example", OTHER)


def test_signed_and_verified() -> None:
    found = checkpoints.verify(RAW, origin=ORIGIN, known=[KEY])
    assert found.checkpoint == CHECKPOINT
    assert found.identities == {SIGNER.identity}
    checkpoint, (signature,) = checkpoints.parse(RAW)
    assert (checkpoint, signature.name, signature.key_id) == (CHECKPOINT, ORIGIN, KEY.key_id)


def test_the_text_is_three_lines() -> None:
    assert RAW.decode().split("\n")[:4] == [ORIGIN, "7", base64.b64encode(ROOT).decode(), ""]


def test_key_ids_are_those_of_other_tools() -> None:
    # the checksum database of the Go project and the example key of golang.org/x/mod/sumdb/note
    for text in ("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                 "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"):  # fmt: skip
        name, _, encoded = text.split("+", 2)
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(encoded)[1:])
        assert NoteKey.of_pem(name, keys.public_to_pem(public)).verifier_text == text


def test_a_second_signature_joins_and_the_same_one_does_not() -> None:
    assert checkpoints.only(TWICE, {(KEY.name, KEY.key_id)}) == RAW
    found = checkpoints.verify(TWICE, origin=ORIGIN, known=[KEY, OTHER_KEY], threshold=2)
    assert found.identities == {SIGNER.identity, OTHER.identity}


def test_unknown_signatures_are_ignored() -> None:
    assert checkpoints.verify(TWICE, origin=ORIGIN, known=[KEY]).identities == {SIGNER.identity}
    with pytest.raises(TrustError, match="0 known signatures, 1 are needed"):
        checkpoints.verify(RAW, origin=ORIGIN, known=[OTHER_KEY])


def test_one_identity_under_two_names_counts_once() -> None:
    again = _signed_too(RAW, "second-name", SIGNER)
    known = [KEY, NoteKey.of_pem("second-name", SIGNER.public_pem or b"")]
    with pytest.raises(TrustError, match="1 known signatures, 2 are needed"):
        checkpoints.verify(again, origin=ORIGIN, known=known, threshold=2)


def test_a_known_key_with_a_false_signature_spoils_the_note() -> None:
    text = TWICE.decode().replace("\n7\n", "\n8\n").encode()
    with pytest.raises(VerificationError, match="does not match the key"):
        checkpoints.verify(text, origin=ORIGIN, known=[KEY, OTHER_KEY])


def test_a_threshold_of_zero_is_one() -> None:
    with pytest.raises(TrustError):
        checkpoints.verify(RAW, origin=ORIGIN, known=[], threshold=0)


def test_another_log_is_refused() -> None:
    with pytest.raises(VerificationError, match="not of 'other'"):
        checkpoints.verify(RAW, origin="other", known=[KEY])


def test_extension_lines_are_kept() -> None:
    checkpoint = Checkpoint(ORIGIN, 0, ROOT, ("extension 1", "extension 2"))
    raw = checkpoints.sign(checkpoint, ORIGIN, SIGNER.public_pem, SIGNER.sign_bytes)
    assert checkpoints.verify(raw, origin=ORIGIN, known=[KEY]).checkpoint == checkpoint


LINE = RAW.decode().split("\n\n")[1]


NOTE = RAW.decode()
HASH = base64.b64encode(ROOT).decode()


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n\n", LINE, f"\n\n{LINE}", f"{ORIGIN}\n7\n\n{LINE}", f"{ORIGIN}\n7\nAA-_\n\n{LINE}"),
        *(NOTE[:-1], NOTE + "\n", NOTE + "x", NOTE + LINE * 70, NOTE * 400),
        *(NOTE.replace("\n7\n", f"\n{size}\n") for size in ("07", "-7", "7\r", "9" * 20, "", "7\nAAAA", "٧")),
        *(NOTE.replace("\n\n", "\n"), NOTE.replace("— ", "- "), NOTE.replace(HASH, HASH[:-1])),
        *(f"{ORIGIN}\n7\n{HASH}\n\n— name AAAA\n", f"{ORIGIN}\n7\n{HASH}\n\n— a+b AAAAAAAA\n"),
    ],
)
def test_other_writings_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        checkpoints.parse(text.encode())


def test_not_utf8() -> None:
    with pytest.raises(FormatError, match="not UTF-8"):
        checkpoints.parse(b"\xff" + RAW)


@pytest.mark.parametrize(
    "checkpoint",
    [Checkpoint("", 1, ROOT), Checkpoint("a\nb", 1, ROOT), Checkpoint("a", -1, ROOT), Checkpoint("a", 1, b"short"),
     Checkpoint("a", 1, ROOT, ("",)), Checkpoint("a", 1, ROOT, ("x\x7f",))],
)  # fmt: skip
def test_what_cannot_be_read_back_is_not_written(checkpoint: Checkpoint) -> None:
    with pytest.raises(BadInput):
        checkpoint.to_text()


def test_only_ed25519_keys_that_fit_the_signer() -> None:
    ecdsa = signers.from_private_key(keys.generate("ecdsa-p256"))
    with pytest.raises(BadInput, match="Ed25519"):
        checkpoints.sign(CHECKPOINT, ORIGIN, ecdsa.public_pem, ecdsa.sign_bytes)
    with pytest.raises(BadInput, match="keyless"):
        checkpoints.sign(CHECKPOINT, ORIGIN, None, SIGNER.sign_bytes)
    with pytest.raises(VerificationError):
        checkpoints.sign(CHECKPOINT, ORIGIN, SIGNER.public_pem, OTHER.sign_bytes)
    with pytest.raises(BadInput, match="not a name"):
        NoteKey.of_pem("a name", SIGNER.public_pem or b"")
