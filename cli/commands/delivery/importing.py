"""What `import` says of each attestation, and the log entries that it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from attest.errors import CasstoreError, FormatError, ServiceUnavailable, VerificationError
from cli.drawing import render
from cli.session import Session, read_file

if TYPE_CHECKING:
    from attest.sigstore.forms import Piece
    from bundlers.consuming.attestation_files import FoundFile

_DONE = frozenset({"recorded", "known"})
_AWAY = "not to be had"


def take_source(
    session: Session, source: str, *, rekor: str | None, entries: Sequence[bytes], root: str | None
) -> list[dict[str, Any]]:
    """A row for each attestation of a file, folder or URL."""
    from attest.sigstore import forms
    from bundlers.consuming import attestation_files
    from casstore import promotion

    given, rows = read_file(root) if root else None, []
    for found in attestation_files.gather(source, network=session.network):
        for piece in _pieces(found):
            if found.in_folder and piece.form == forms.JSON:
                continue
            whole, code = _with_entry(session, piece, rekor, entries)
            store, ledger = session.open_store(), session.ledger()
            taken = promotion.take(store, ledger, whole, source=found.name, now=session.now, sigstore_root=given)
            row = {**taken.to_json(), "kind": "attestation", "hint": taken.hint}
            code = code or found.code
            rows.append({**row, "outcome": _AWAY, "code": code} if code else row)
    return rows


def tell(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """One line each, a summary, and the exit code."""
    if as_json:
        render.json_object({"imported": list(rows)})
    else:
        for row in rows:
            _tell_kit(row) if row["kind"] == "kit" else _tell(row)
    refused = [row for row in rows if row.get("outcome") == "refused"]
    away = [row for row in rows if row.get("outcome") == _AWAY]
    if refused or away:
        render.say(f"{len(refused) + len(away)} of {len(rows)} were not taken in")
        raise click.exceptions.Exit(3 if refused else away[0]["code"])
    if not any(row["kind"] == "kit" or row["outcome"] in _DONE for row in rows):
        render.error("nothing of it can be evidence" if rows else "no attestation was found")
        raise click.exceptions.Exit(4)


def _pieces(found: FoundFile) -> Iterator[Piece]:
    from attest.sigstore import forms

    if found.raw is None:
        yield forms.Piece("file", "", problem=found.problem)
        return
    try:
        yield from forms.read(found.raw)
    except CasstoreError as exc:
        yield forms.Piece(forms.form_of_broken(found.raw), "", problem=exc.message, hint=exc.hint)


def _with_entry(session: Session, piece: Piece, rekor: str | None, entries: Sequence[bytes]) -> tuple[Piece, int]:
    """The piece with its log entry, where it lacks one and was told where to get it; an exit code where that failed."""
    from dataclasses import replace

    from attest.signers import log_search
    from attest.sigstore import rekor_answers
    from attest.sigstore.sigstore_bundles import SigstoreBundle

    if piece.raw is None or not (rekor or entries):
        return piece, 0
    bundle = SigstoreBundle.parse(piece.raw)
    lacks = rekor_answers.lacks_entry(bundle)
    try:
        if entries and rekor_answers.may_be_completed(bundle):
            return replace(piece, raw=rekor_answers.completed(piece.raw, entries)), 0
        if rekor and lacks:
            network = session.network.named(rekor)
            return replace(piece, raw=log_search.found(piece.raw, rekor, network=network)), 0
    except CasstoreError as exc:
        if lacks:
            code = 0 if isinstance(exc, FormatError | VerificationError) else ServiceUnavailable.exit_code
            return replace(piece, raw=None, problem=exc.message, hint=exc.hint), code
    return piece, 0


def _tell(row: dict[str, Any]) -> None:
    where = f"{row['file']}{' ' + row['place'] if row['place'] else ''}"
    about = f" about {', '.join(row['about'][:2])}" if row["about"] else ""
    more = f" and {len(row['about']) - 2} more" if len(row["about"]) > 2 else ""
    who = f", by {' / '.join(row['names'])}" if row["names"] else f", by {row['signer']}" if row["signer"] else ""
    worth = (
        "counts" if row["counts"] else f"counts for nothing: {row['why']}" if row["outcome"] in _DONE else row["why"]
    )
    render.line(f"{where}: {row['outcome']}: {row['what'] or row['form']}{about}{more}{who}; {worth}")
    if row["outcome"] in ("refused", _AWAY) and row["hint"]:
        render.say(f"hint: {row['hint']}")


def _tell_kit(row: dict[str, Any]) -> None:
    render.line(f"{row['file']}: kit release {row['version']}, {row['new']} new objects")
