"""attest complete: an envelope and its log entry, put together into a sigstore bundle."""

from __future__ import annotations

import click

from attest.core import limits
from attest.errors import BadInput, FormatError
from cli.commands.params import json_option, pass_session
from cli.drawing import render
from cli.session import Session, read_file, write_new


@click.command()
@click.argument("file")
@click.option("--rekor", metavar="URL", help="Ask this log (Rekor v1) for the entries.")
@click.option(
    "--log-entry", "log_entries", multiple=True, metavar="FILE", help="Entries as the log answered; may be repeated."
)
@click.option("--out", required=True, metavar="FILE", help="The bundle, or bundles, one a line; must not exist.")
@json_option
@pass_session
def complete(
    session: Session, file: str, rekor: str | None, log_entries: tuple[str, ...], out: str, as_json: bool
) -> None:
    """Put the log entry beside a signature in FILE that came without it, and write a sigstore bundle.

    SLSA generators publish bare DSSE envelopes (*.intoto.jsonl): nothing in them proves when their certificate was
    used, the log has that. An entry is taken only where it is about this very signature; whether the log made it is
    judged with the bundle, by verify-bundle or import. Entries may be the log's answers, those of bundles, or the
    promises that cosign keeps; several in one file, and for several envelopes in FILE.

    \b
    Examples:
      casstore attest complete core.intoto.jsonl --rekor https://rekor.sigstore.dev --out core.sigstore.json
      casstore attest complete core.intoto.jsonl --log-entry entry.json --out core.sigstore.json
    Exit status: 0 written, 2 no log and no entry is named, 3 no entry is about it, 9 the output file exists, 12 the
    log cannot be asked.
    """
    from attest.sigstore import forms

    if not rekor and not log_entries:
        raise BadInput("where is the log entry?", hint="give --rekor URL to ask the log, or --log-entry FILE")
    entries = [read_file(path) for path in log_entries]
    bundles = []
    for piece in forms.read(read_file(file, max_bytes=limits.ATTESTATION)):
        if piece.raw is None:
            raise FormatError(f"{file}{' ' + piece.place if piece.place else ''}: {piece.problem}", hint=piece.hint)
        bundles.append(_completed(session, piece.raw, rekor, entries))
    write_new(out, b"".join(raw + b"\n" for raw in bundles) if len(bundles) > 1 else bundles[0])
    told = f"{out}: {len(bundles)} {'bundle' if len(bundles) == 1 else 'bundles'} with a log entry; not verified yet"
    render.json_object({"file": out, "bundles": len(bundles)}) if as_json else render.line(told)


def _completed(session: Session, raw: bytes, rekor: str | None, entries: list[bytes]) -> bytes:
    from attest.signers import log_search
    from attest.sigstore import rekor_answers
    from attest.sigstore.sigstore_bundles import SigstoreBundle

    bundle = SigstoreBundle.parse(raw)
    if not rekor_answers.may_be_completed(bundle):
        return raw
    if entries:
        return rekor_answers.completed(raw, entries)
    if bundle.certificate is None:
        raise BadInput(
            "the envelope names no certificate, by which a log is asked",
            hint="hand the entry in: --log-entry FILE; if a key signed it, no entry is needed",
        )
    return log_search.found(raw, str(rekor), network=session.network.named(str(rekor)))
