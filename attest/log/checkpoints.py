"""Checkpoints: a log's size and root hash as a signed note (C2SP), signed by Ed25519 keys.

Promises: one valid writing; verifying needs an expected origin and known keys, ignores
signatures of unknown keys, and refuses the note when a known key's signature does not hold.
Leaves to others: who may sign for a ledger (`trust_roots`), whether two checkpoints agree
(`merkle.verify_consistency`).

    raw = sign(Checkpoint(origin, 7, root), origin, signer.public_pem, signer.sign_bytes)
    verify(raw, origin=origin, known=[NoteKey.of_pem(origin, public_pem)]).checkpoint.size

Source: https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Collection

from attest.core.values import dataclass
from attest.errors import BadInput, FormatError, TrustError, VerificationError
from attest.keys import keys
from attest.keys.keys import ED25519, PublicKey
from attest.log.merkle import HASH_SIZE
from attest.statements.envelopes import decode_base64

MAX_NOTE = 64 * 1024
MAX_SIGNATURES = 64

_ED25519_TYPE = b"\x01"
_DASH = "\u2014 "
_SIZE = re.compile(r"0|[1-9]\d{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its name, how many entries, and the Merkle root hash over them."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def to_text(self) -> str:
        """The note's text, which is what is signed. Raises BadInput."""
        if self.size < 0 or len(self.root) != HASH_SIZE:
            raise BadInput("a checkpoint needs a size and a root hash of 32 bytes")
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        if any(not line or not _is_plain(line) for line in lines):
            raise BadInput("a checkpoint line is empty or holds a control character")
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A key under the name that it signs notes with."""

    name: str
    public: PublicKey

    @staticmethod
    def of_pem(name: str, pem: bytes) -> NoteKey:
        """From a PEM key. Raises BadInput unless it is Ed25519 and the name can stand in a note."""
        public = keys.public_from_pem(pem)
        if keys.algorithm_of(public) != ED25519:
            raise BadInput("checkpoints are signed by Ed25519 keys", hint="casstore keys generate --algorithm ed25519")
        if not _is_name(name):
            raise BadInput(f"not a name for a note's key: {name[:80]!r}", hint="no spaces, no plus sign")
        return NoteKey(name, public)

    @property
    def key_id(self) -> bytes:
        """The four bytes that lead a signature: a hint, unique enough to find the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._typed).digest()[:4]

    @property
    def verifier_text(self) -> str:
        """`name+id+key`, as other tools of signed notes take it."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._typed).decode()}"

    @property
    def _typed(self) -> bytes:
        # The last 32 bytes of an Ed25519 SubjectPublicKeyInfo are the key itself (RFC 8410).
        return _ED25519_TYPE + keys.public_to_der(self.public)[-32:]


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, not verified."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint and the identities whose signatures hold."""

    checkpoint: Checkpoint
    identities: frozenset[str]


def sign(checkpoint: Checkpoint, name: str, public_pem: bytes | None, sign_bytes: Callable[[bytes], bytes]) -> bytes:
    """The signed note. Raises BadInput for a key that is not Ed25519."""
    if public_pem is None:
        raise BadInput("a keyless identity cannot sign checkpoints", hint="use an Ed25519 key")
    text = checkpoint.to_text()
    return f"{text}\n".encode() + _line(NoteKey.of_pem(name, public_pem), text, sign_bytes)


def parse(raw: bytes) -> tuple[Checkpoint, tuple[NoteSignature, ...]]:
    """Checkpoint and signatures of a note; nothing is verified. Raises FormatError."""
    text, signatures = _split(raw)
    return _checkpoint(text), signatures


def parse_note(raw: bytes) -> tuple[bytes, Checkpoint, tuple[NoteSignature, ...]]:
    """As `parse`, with the very bytes that are signed: other logs sign by keys that are not Ed25519."""
    text, signatures = _split(raw)
    return text.encode(), _checkpoint(text), signatures


def verify(raw: bytes, *, origin: str, known: Collection[NoteKey], threshold: int = 1) -> VerifiedCheckpoint:
    """Raises FormatError, VerificationError; TrustError when fewer than `threshold` known identities signed."""
    text, signatures = _split(raw)
    signed: set[str] = set()
    for signature in signatures:
        for key in known:
            if (key.name, key.key_id) == (signature.name, signature.key_id):
                keys.verify_signature(key.public, signature.signature, text.encode())
                signed.add(keys.identity_of(key.public))
    if len(signed) < max(threshold, 1):
        raise TrustError(
            f"the checkpoint of {origin[:80]} has {len(signed)} known signatures, {max(threshold, 1)} are needed",
            hint="the ledger's keys are named by the trust root",
        )
    checkpoint = _checkpoint(text)
    if checkpoint.origin != origin:
        raise VerificationError(f"the checkpoint is of the log {checkpoint.origin[:80]!r}, not of {origin[:80]!r}")
    return VerifiedCheckpoint(checkpoint, frozenset(signed))


def only(raw: bytes, wanted: Collection[tuple[str, bytes]]) -> bytes:
    """The note with the lines of these (name, key id) alone, the first of each. Raises FormatError."""
    text, signatures = _split(raw)
    kept = {(s.name, s.key_id): s for s in reversed(signatures) if (s.name, s.key_id) in wanted}
    return f"{text}\n".encode() + b"".join(line(s.name, s.key_id + s.signature) for s in reversed(kept.values()))


def line(name: str, signature: bytes) -> bytes:
    """A signature line: whose, and the bytes that it holds, key id first."""
    return f"{_DASH}{name} {base64.b64encode(signature).decode()}\n".encode()


def _line(key: NoteKey, text: str, sign_bytes: Callable[[bytes], bytes]) -> bytes:
    signature = sign_bytes(text.encode())
    keys.verify_signature(key.public, signature, text.encode())  # the two arguments may not belong together
    return line(key.name, key.key_id + signature)


def _split(raw: bytes) -> tuple[str, tuple[NoteSignature, ...]]:
    if len(raw) > MAX_NOTE:
        raise FormatError(f"signed note: {len(raw)} bytes, more than the limit of {MAX_NOTE}")
    try:
        note = raw.decode()
    except UnicodeDecodeError as exc:
        raise FormatError("signed note: not UTF-8") from exc
    body, separator, tail = note.rpartition("\n\n")
    if not separator or not body or not tail.endswith("\n") or not _is_plain(note.replace("\n", "")):
        raise FormatError("signed note: text, an empty line and signatures are wanted")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise FormatError(f"signed note: {len(lines)} signatures, more than the limit of {MAX_SIGNATURES}")
    return body + "\n", tuple(_signature(line) for line in lines)


def _signature(line: str) -> NoteSignature:
    name, separator, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not separator or not _is_name(name):
        raise FormatError(f"signed note: not a signature line: {line[:80]!r}")
    raw = decode_base64(encoded, "signed note: signature")
    if len(raw) < 5 or base64.b64encode(raw).decode() != encoded:
        raise FormatError("signed note: a signature is too short or not written in standard base64")
    return NoteSignature(name, raw[:4], raw[4:])


def _checkpoint(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):
        raise FormatError("checkpoint: origin, size and root hash are wanted, one a line")
    checkpoint = Checkpoint(lines[0], int(lines[1]), decode_base64(lines[2], "checkpoint: root hash"), tuple(lines[3:]))
    if len(checkpoint.root) != HASH_SIZE or checkpoint.to_text() != text:
        raise FormatError("checkpoint: the root hash is not 32 bytes in standard base64")
    return checkpoint


def _is_plain(text: str) -> bool:
    return not any(ord(char) < 0x20 or ord(char) == 0x7F for char in text)


def _is_name(name: str) -> bool:
    return bool(name) and _is_plain(name) and "+" not in name and not any(char.isspace() for char in name)
