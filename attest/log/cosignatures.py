"""Cosignatures: a witness's line below a checkpoint, with the time at which it was made (docs/formats/witness.md).

Promises: one valid writing; a line is verified over the very text of the checkpoint that is asked about. Leaves to
others: who the witnesses are (`attest.trust.witnesses`), and what one checks before it signs.

    note = cosign(note, WitnessKey.of_pem("w1.example.org", public_pem), signer.sign_bytes, at=now)
    time_of(note, key, checkpoint)

Source: https://c2sp.org/tlog-cosignature
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime

from attest.core.values import dataclass
from attest.errors import BadInput, FormatError, VerificationError
from attest.keys import keys
from attest.keys.keys import ED25519, PublicKey
from attest.log import checkpoints
from attest.log.checkpoints import Checkpoint
from attest.statements.envelopes import decode_base64

_TYPE = b"\x04"
_NAME = re.compile(r"[!-*,-~]{1,128}", re.ASCII)
"""Printable, without space and plus sign."""
_VERIFIER = re.compile(r"([!-*,-~]{1,128})\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})", re.ASCII)
_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key (RFC 8410)."""
_TIME_SIZE = 8


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's Ed25519 key under its name."""

    name: str
    public: PublicKey

    @staticmethod
    def of_pem(name: str, pem: bytes) -> WitnessKey:
        """From a PEM key. Raises BadInput unless it is Ed25519 and the name can stand in a note."""
        public = keys.public_from_pem(pem)
        if keys.algorithm_of(public) != ED25519:
            raise BadInput(
                f"the witness {name[:80]} must have an Ed25519 key", hint="casstore keys generate --algorithm ed25519"
            )
        if not _NAME.fullmatch(name):
            raise BadInput(
                f"not a name for a witness: {name[:80]!r}", hint="1 to 128 characters, no space, no plus sign"
            )
        return WitnessKey(name, public)

    @staticmethod
    def of_verifier_text(text: str) -> WitnessKey:
        """From `name+id+key`, as who runs a witness tells it. Raises BadInput."""
        match = _VERIFIER.fullmatch(text)
        try:
            typed = decode_base64(match[3], "key") if match else b""
        except FormatError:
            typed = b""
        if match is None or typed[:1] != _TYPE or len(typed) != 1 + 32:
            raise BadInput(
                f"not the key of a witness: {text[:200]!r}",
                hint="NAME+ID+KEY of an Ed25519 cosigner (c2sp.org/tlog-cosignature), as who runs it tells it",
            )
        found = WitnessKey(match[1], keys.public_from_der(_SPKI + typed[1:]))
        if found.key_id.hex() != match[2]:
            raise BadInput(f"{text[:200]}: the key id of this name and key is {found.key_id.hex()}")
        return found

    @property
    def key_id(self) -> bytes:
        """The four bytes that lead its lines."""
        typed = _TYPE + keys.public_to_der(self.public)[-32:]
        return hashlib.sha256(self.name.encode() + b"\n" + typed).digest()[:4]


def is_verifier_text(text: str) -> bool:
    """Whether it is written as a witness's `name+id+key`."""
    return _VERIFIER.fullmatch(text) is not None


def cosign(note: bytes, key: WitnessKey, sign_bytes: Callable[[bytes], bytes], *, at: datetime) -> bytes:
    """The note with one more line. Raises FormatError for what is no note, and for one that has no room."""
    text, checkpoint, _ = checkpoints.parse_note(note)
    seconds = int(at.timestamp())
    message = _message(text, seconds)
    raw = key.key_id + seconds.to_bytes(_TIME_SIZE, "big") + sign_bytes(message)
    made = note + checkpoints.line(key.name, raw)
    time_of(made, key, checkpoint)  # the arguments may not belong together, or the note was full
    return made


def time_of(note: bytes, key: WitnessKey, checkpoint: Checkpoint) -> datetime:
    """When this witness signed this very checkpoint. Raises FormatError, VerificationError where it did not."""
    _, found, signatures = checkpoints.parse_note(note)
    if found != checkpoint:
        raise VerificationError(f"the note of the witness {key.name} is over {found.size} entries of another history")
    for signature in signatures:
        if (signature.name, signature.key_id) == (key.name, key.key_id):
            seconds, raw = signature.signature[:_TIME_SIZE], signature.signature[_TIME_SIZE:]
            number = int.from_bytes(seconds, "big")
            if not number:
                raise VerificationError(f"the line of the witness {key.name} does not say when it was made")
            keys.verify_signature(key.public, raw, _message(checkpoint.to_text().encode(), number))
            return _time(number)
    raise VerificationError(f"the note over {checkpoint.size} entries has no line of the witness {key.name}")


def _message(text: bytes, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n".encode() + text


def _time(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as exc:
        raise FormatError(f"cosignature: no time: {seconds}") from exc
