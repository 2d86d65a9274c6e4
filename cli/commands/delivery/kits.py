"""export, import: what is carried from one place to another."""

from __future__ import annotations

import os
from typing import Any

import click

from attest.errors import BadInput
from cli.commands.params import (
    clock_option,
    json_option,
    key_option,
    pass_session,
    trust_options,
    trust_settings,
)
from cli.drawing import render
from cli.session import Session, read_file


@click.command()
@click.argument("release")
@click.argument("file")
@click.option("--channel", metavar="NAME", help="Only for this channel; default: every channel that holds it.")
@clock_option
@key_option
@json_option
@pass_session
def export(
    session: Session,
    release: str,
    file: str,
    channel: str | None,
    clock_checked: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Write RELEASE into one kit FILE: bytes, evidence, trust roots, ledger proof, revocations.

    --key is the ledger role's Ed25519 key and signs a fresh checkpoint; without it the newest
    published one serves, and where the trust root names witnesses: their lines are taken from the
    destinations and [witnesses] of casstore.toml.

    \b
    Example:
      casstore export prod kit.tar --key ledger.pem
    Exit status: 0 written, 4 nothing holds it or no checkpoint, 8 no such release, 9 FILE exists.
    """
    from bundlers.consuming import kits, witness_lines

    signer = session.signer(key) if key or os.environ.get("CASSTORE_KEY") else None
    if signer is not None:
        session.check_clock(clock_checked)
    report = kits.export(
        session.open_store(read_only=signer is None),
        session.ledger(read_only=signer is None),
        release,
        file,
        signer=signer,
        channel=channel,
        now=session.now,
        lines_from=witness_lines.read_from(_places(session), network=session.network),
    )
    if as_json:
        render.json_object(report.to_json())
    else:
        render.line(f"{report.version} ({', '.join(report.channels)}) -> {report.path}, {render.size(report.size)}")
        which = f" --channel {report.channels[-1]}" if len(report.channels) > 1 else ""
        render.say(f"anyone can check it: casstore --offline verify {file}{which}")


def _places(session: Session) -> list[str]:
    """Where lines of witnesses may lie."""
    config = session.optional_config
    if config is None:
        return []
    return [*config.witness_places, *(config.absolute(one.url) for one in config.destinations.values())]


@click.command(name="import")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|FOLDER|URL...")
@click.option("--channel", metavar="NAME", help="Which channel of a kit.")
@click.option("--rekor", metavar="URL", help="Ask this log for the entries of envelopes that came without one.")
@click.option(
    "--log-entry",
    "log_entries",
    multiple=True,
    metavar="FILE",
    help="Such entries, as the log answered; may be repeated.",
)
@trust_options
@json_option
@pass_session
def import_files(
    session: Session,
    sources: tuple[str, ...],
    channel: str | None,
    rekor: str | None,
    log_entries: tuple[str, ...],
    trust_root: str | None,
    tuf_root: str | None,
    sigstore_root: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Take in what was made elsewhere: attestations of any tool (approvals, SBOMs, ...) and kits.

    Reads sigstore bundles, one or many a file, what npm, PyPI and GitHub serve, bare DSSE envelopes and cosign's
    blob bundles; says of each what it is, whom it names and whether it counts. One by somebody whom the trust
    root knows becomes evidence in the ledger; a bad one does not stop the others. A kit is verified, then its
    objects are kept.

    \b
    Examples:
      casstore import alice-approval.sigstore.json
      casstore import evidence/ https://INDEX/integrity/core/1.4.0/core-1.4.0.tar.gz/provenance
    Exit status: 0 taken in, 3 one of them does not hold, 4 nothing of it can be evidence, 8 or 12 one of them is
    not there or could not be had.
    """
    from bundlers.consuming import kits
    from cli.commands.delivery import importing

    rows: list[dict[str, Any]] = []
    entries = [read_file(path) for path in log_entries]
    for source in sources:
        if os.path.isfile(source) and _is_tar(source):
            trust = trust_settings(trust_root, tuf_root, sigstore_root, state)
            kit = kits.import_kit(session.open_store(), source, trust=trust, at=session.now, channel=channel)
            rows.append({"file": source, "kind": "kit", **kit.to_json()})
        else:
            rows += importing.take_source(session, source, rekor=rekor, entries=entries, root=sigstore_root)
    importing.tell(rows, as_json=as_json)


def _is_tar(path: str) -> bool:
    """Whether a file is a kit; an attestation is JSON."""
    try:
        with open(path, "rb") as file:
            return file.read(512)[257:262] == b"ustar"
    except OSError as exc:
        raise BadInput(f"{path}: cannot be read: {exc.strerror}") from exc


COMMANDS = {"export": export, "import": import_files}
