"""What `verify-bundle` finds of each signature: one verdict each, one of several never hides another."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from attest.core.values import dataclass
from attest.errors import BadInput, CasstoreError, FormatError, VerificationError
from cli.drawing import render
from cli.session import read_file

if TYPE_CHECKING:
    from attest.trust.artifact_signatures import Artifact, Certificate

MAX_BUNDLE = 16 * 1024 * 1024
MAX_CONTENT = 64 * 1024 * 1024
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """Who must have signed, and what it is judged by."""

    signer: Certificate | bytes
    root_json: bytes
    at: datetime
    in_toto: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out for one signature."""

    file: str
    bundle: str
    place: str
    found: dict[str, Any] | None = None
    error: CasstoreError | None = None

    def to_json(self) -> dict[str, Any]:
        """A row."""
        named = {"file": self.file, "bundle": self.bundle, "place": self.place}
        if self.error is not None:
            return {**named, "verified": False, "error": self.error.message, "hint": self.error.hint}
        return {**named, **(self.found or {})}


def verdicts(file: str, bundle: str, asked: Asked) -> Iterator[Verdict]:
    """One for each signature in a file. Raises BadInput for a file that cannot be read."""
    from attest.sigstore import forms
    from attest.trust import artifact_signatures

    raw = read_file(bundle, max_bytes=MAX_BUNDLE)
    try:
        pieces = forms.read(raw)
    except CasstoreError as exc:
        yield Verdict(file, bundle, "", error=exc)
        return
    for piece in pieces:
        try:
            if piece.raw is None:
                raise FormatError(piece.problem, hint=piece.hint)
            wanted = artifact_signatures.algorithms(piece.raw)
        except FormatError as exc:
            yield Verdict(file, bundle, piece.place, error=exc)
            continue
        artifact = _artifact(file, wanted)
        try:
            yield Verdict(file, bundle, piece.place, found=_judge(artifact, piece.raw, asked))
        except (BadInput, FormatError, VerificationError) as exc:
            yield Verdict(file, bundle, piece.place, error=exc)


def tell(rows: Sequence[Verdict], *, as_json: bool) -> None:
    """The one verdict as it is, or all of them; raises the one error, or exits with 3."""
    if len(rows) == 1:
        (row,) = rows
        if row.error is not None:
            raise row.error
        render.json_object(row.found or {}) if as_json else render.line(_line(row))
        return
    bad = [row for row in rows if row.error is not None]
    if as_json:
        render.json_object({"verified": not bad, "verdicts": [row.to_json() for row in rows]})
    else:
        for row in rows:
            render.line(f"{row.bundle}{' ' + row.place if row.place else ''}: {row.file}: {_line(row)}")
    if bad:
        render.say(f"{len(bad)} of {len(rows)} do not hold")
        raise click.exceptions.Exit(3)


def _line(row: Verdict) -> str:
    if row.error is not None:
        return f"refused: {row.error.message}"
    found = row.found or {}
    return f"verified: {found['predicateType'] or 'a signature over the file'} by {found['identity']}"


def _judge(artifact: Artifact, raw: bytes, asked: Asked) -> dict[str, Any]:
    from attest.core import times
    from attest.trust import artifact_signatures

    found = artifact_signatures.verify(
        raw, artifact=artifact, signer=asked.signer, root_json=asked.root_json, at=asked.at
    )
    if asked.in_toto and found.statement is None:
        raise VerificationError("the bundle signs the file itself and holds no in-toto statement")
    return {
        "verified": True,
        "identity": found.identity,
        "signedAt": times.format(found.signed_at),
        "predicateType": found.statement.predicate_type if found.statement else None,
    }


def _artifact(text: str, wanted: Collection[str]) -> Artifact:
    """Its digests, and the content where it is a file that fits in memory (an Ed25519 signature needs it)."""
    from attest.statements import subjects
    from attest.trust.artifact_signatures import Artifact

    given = subjects.of_text(text)
    if given is not None and not os.path.exists(text):
        return Artifact(given)
    try:
        if os.path.getsize(text) <= MAX_CONTENT:
            content = read_file(text, max_bytes=MAX_CONTENT)
            return Artifact(subjects.of_pieces([content], wanted), content)
        with open(text, "rb") as file:
            return Artifact(subjects.of_pieces(iter(lambda: file.read(_PIECE), b""), wanted))
    except OSError as exc:
        raise BadInput(f"{text}: cannot be read: {exc.strerror}", hint="give a file or sha256:HEX") from exc
