"""attest: sign, verify, show, export; the other commands of the group stand beside this file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from attest import digests
from attest.core import limits
from attest.digests import Digest
from attest.errors import BadInput
from cli.commands.evidence import sigstore_bundles
from cli.commands.evidence.completing import complete
from cli.commands.evidence.sbom import sbom
from cli.commands.params import digest_of_file, json_option, key_option, pass_session
from cli.drawing import render
from cli.session import Session, read_file, write_new

if TYPE_CHECKING:
    from attest.statements.statements import Statement


@click.group()
def attest() -> None:
    """Sign, verify, show and export attestations; works without a store."""


@attest.command()
@click.argument("subjects", nargs=-1, required=True, metavar="SUBJECT...")
@click.option("--type", "kind", required=True, help="Predicate type: a URI, or a short name as sbom's cyclonedx.")
@click.option(
    "--predicate", "predicate_file", required=True, metavar="FILE", help="The predicate, a JSON object, or a report."
)
@click.option(
    "--out", metavar="FILE", help="The attestation; default: FIRST_SUBJECT.sigstore.json, with --hand-in no file."
)
@click.option("--hand-in", is_flag=True, help="Record it as evidence in the ledger.")
@click.option("--rekor", metavar="URL", help="With a managed key: log the signature there.")
@click.option("--rekor-version", type=click.IntRange(1, 2), help="The log's API; default 1, or the config's.")
@click.option("--tsa", metavar="URL", help="With a managed key: a time stamp authority to stamp the signature.")
@click.option("--trust-config", metavar="FILE", help="With a managed key: log and stamp at this sigstore instance.")
@key_option
@json_option
@pass_session
def sign(
    session: Session,
    subjects: tuple[str, ...],
    kind: str,
    predicate_file: str,
    out: str | None,
    hand_in: bool,
    rekor: str | None,
    rekor_version: int | None,
    tsa: str | None,
    trust_config: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Sign a statement about SUBJECTs: files, or digests as NAME=sha256:...

    For vulns a scanner's own report is read (grype, trivy, osv-scanner, SARIF), for test-result JUnit XML.

    \b
    Examples:
      casstore attest sign core-1.4.0.tar.gz --type cyclonedx --predicate sbom.json --key ci.pem
      casstore attest sign core-1.4.0.tar.gz --type test-result --predicate junit.xml --key ci.pem
    Exit status: 0 signed, 2 no such file or type, 9 the output file exists, 12 a service does not answer.
    """
    from attest import canonical
    from attest.statements import predicates, scanners, statements
    from attest.statements.predicates import test_result, vulns

    given = read_file(predicate_file, max_bytes=limits.STATEMENT)
    predicate = _of_tests(given, predicate_file) if test_result.TYPE in predicates.types_of(kind) else None
    if predicate is None:
        predicate = canonical.loads_object(given, what=predicate_file, max_bytes=limits.STATEMENT)
    if vulns.TYPE in predicates.types_of(kind) and scanners.is_report(predicate):
        report = scanners.read(predicate)
        render.say(f"{predicate_file}: report of {report.told}")
        predicate = report.predicate()
    statement = statements.of_digests(_distinct(subjects), predicates.written(kind, predicate), predicate)
    signer = sigstore_bundles.with_proofs(session, session.signer(key), rekor, rekor_version, tsa, trust_config)
    raw = signer.sign_statement(statement.to_bytes())
    target, entry = out, None
    if target is None and not hand_in:
        target = f"{os.path.basename(subjects[0].partition('=')[0])}.sigstore.json"
    if target is not None:
        write_new(target, raw)
    if hand_in:
        from casstore import promotion

        _, entry = promotion.import_attestation(session.open_store(), session.ledger(), raw, now=session.now)
    result = {"file": target, "digest": digests.sha256(raw), "entry": entry}
    told = target or f"ledger entry {entry}:"
    render.json_object(result) if as_json else render.line(f"{told} {result['digest']}")


def _of_tests(given: bytes, path: str) -> dict[str, Any] | None:
    """A test runner's report as a predicate; None for what is no XML."""
    from bundlers.inspection import test_reports

    if not test_reports.is_report(given):
        return None
    report = test_reports.read(given, what=path)
    render.say(f"{path}: JUnit report of {report.told}")
    return report.predicate()


@attest.command()
@click.argument("attestation")
@click.argument("subjects", nargs=-1, required=True, metavar="SUBJECT...")
@click.option("--type", "kind", required=True, help="The predicate type that is expected.")
@click.option("--public-key", metavar="FILE", help="Verify by this key alone; else by the store's trust root.")
@click.option("--role", metavar="ROLE", help="With the trust root: the role that the signer must hold.")
@click.option(
    "--sigstore-root", metavar="FILE", help="trusted_root.json for keyless signers and stamps; default: the pinned one."
)
@json_option
@pass_session
def verify(
    session: Session,
    attestation: str,
    subjects: tuple[str, ...],
    kind: str,
    public_key: str | None,
    role: str | None,
    sigstore_root: str | None,
    as_json: bool,
) -> None:
    """Verify that ATTESTATION says something of this type about every SUBJECT (file or digest).

    \b
    Example:
      casstore attest verify core.sigstore.json core.tar.gz --type slsa-provenance --public-key ci.pem.pub
    Exit status: 0 verified, 3 it does not hold.
    """
    from attest.core import times
    from attest.statements import predicates
    from attest.trust import verify as verifying

    raw = read_file(attestation, max_bytes=limits.ATTESTATION)
    wanted = [_subject(text)[1] for text in subjects]
    types = predicates.types_of(kind)
    claimed = _type_of(raw)
    expected = claimed if claimed in types else types[0]
    if public_key:
        found = verifying.verify_with_key(
            raw,
            read_file(public_key),
            predicate_type=expected,
            subjects=wanted,
            sigstore_root=read_file(sigstore_root) if sigstore_root else None,
            at=session.now,
        )
    else:
        root = session.trust_root()
        given = read_file(sigstore_root) if sigstore_root else None
        found = verifying.verify(
            raw,
            trust_root=root,
            predicate_type=expected,
            subjects=wanted,
            at=session.now,
            role=role,
            sigstore_root=given if given or not root.sigstore_root else _pinned(session, root.sigstore_root),
        )
    for text in subjects:
        _check_subject(text, found.statement)
    result = {
        "verified": True,
        "identity": found.identity,
        "names": sorted(found.names),
        "roles": sorted(found.roles),
        "predicateType": found.statement.predicate_type,
        "attestation": found.bundle,
        "signedAt": times.format(found.signed_at) if found.signed_at else None,
    }
    who = ", ".join(sorted(found.names)) or found.identity
    render.json_object(result) if as_json else render.line(f"verified: {found.statement.predicate_type} by {who}")


@attest.command()
@click.argument("attestation")
@pass_session
def show(session: Session, attestation: str) -> None:
    """Show what an attestation (a file of any form, or a digest in the store) says; nothing is verified.

    Signer, log entry and statement; one JSON object, or a list where the file holds several.

    \b
    Example:
      casstore attest show core.sigstore.json
    Exit status: 0 shown, 3 nothing in it can be read.
    """
    from attest.sigstore import forms, shown
    from attest.sigstore.sigstore_bundles import SigstoreBundle

    raw = (
        session.open_store(read_only=True).read(digests.parse(attestation))
        if digests.is_digest(attestation)
        else read_file(attestation, max_bytes=limits.ATTESTATION)
    )
    rows = []
    for piece in forms.read(raw):
        said = shown.of(SigstoreBundle.parse(piece.raw)) if piece.raw else {"problem": piece.problem}
        rows.append({"form": piece.form, **({"place": piece.place} if piece.place else {}), **said})
    render.say("not verified:")
    render.lines(_printable(json.dumps(rows[0] if len(rows) == 1 else rows, indent=2, ensure_ascii=False)))
    if all("problem" in row for row in rows):
        raise click.exceptions.Exit(3)


@attest.command()
@click.argument("release")
@click.argument("folder")
@click.option("--format", "form", type=click.Choice(["sigstore", "jsonl", "dsse", "in-toto", "oci"]), required=True)
@key_option
@json_option
@pass_session
def export(session: Session, release: str, folder: str, form: str, key: str | None, as_json: bool) -> None:
    """Write the evidence of RELEASE into a new FOLDER, for other tools.

    sigstore: one bundle file per attestation. jsonl: one file of bundles. dsse: bare envelopes, whose
    verification summaries `slsa-verifier verify-vsa` reads. in-toto: a layout and its links for
    `in-toto-verify`, signed by --key. oci: an image layout of archives and attestations for skopeo and oras.

    \b
    Example:
      casstore attest export 1.4.0 ./evidence --format in-toto --key owner.pem
    Exit status: 0 written, 8 no such release, 9 FOLDER exists.
    """
    from bundlers.audit import evidence_export

    written = evidence_export.export(
        session.open_store(read_only=True),
        session.state(),
        release,
        folder,
        form=form,
        signer=session.signer(key) if form == "in-toto" else None,
        now=session.now,
    )
    if as_json:
        render.json_object({"folder": folder, "files": list(written.files), "command": written.command})
        return
    render.line(f"{len(written.files)} files in {folder}")
    if written.command:
        render.say(f"check it: {written.command}")


def _printable(text: str) -> str:
    """JSON in which what a terminal would act on is escaped as JSON escapes it, so that it stays JSON."""
    if text.isascii():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _pinned(session: Session, digest: Digest) -> bytes:
    return session.open_store(read_only=True).read(digest)


def _type_of(raw: bytes) -> str:
    from casstore.store.attestations import parse_unverified

    return parse_unverified(raw).predicate_type


def _distinct(texts: tuple[str, ...]) -> dict[str, Digest]:
    """Name -> digest; files of one name are named by their paths. Raises BadInput where two share a name still."""
    named = [_subject(text) for text in texts]
    taken = [name for name, _ in named]
    found: dict[str, Digest] = {}
    for text, (name, digest) in zip(texts, named, strict=True):
        own = text if taken.count(name) > 1 and "=" not in text else name
        if found.setdefault(own, digest) != digest:
            raise BadInput(f"two subjects are named {own!r}", hint="give each a name of its own: NAME=sha256:...")
    return found


def _check_subject(text: str, statement: Statement) -> None:
    """By every digest that we can compute, as verify-bundle does. Raises VerificationError where one contradicts."""
    from attest.statements import subjects

    _, digest = _subject(text)
    if digests.is_digest(text.rpartition("=")[2]):
        subjects.about(statement, subjects.of_digest(digest))
        return
    with open(text, "rb") as file:
        pieces = iter(lambda: file.read(1024 * 1024), b"")
        subjects.about(statement, subjects.of_pieces(pieces, subjects.algorithms(statement)))


def _subject(text: str) -> tuple[str, Digest]:
    name, separator, digest = text.rpartition("=")
    if digests.is_digest(digest):
        return (name if separator else digest), digests.parse(digest)
    return os.path.basename(text), digest_of_file(text)


@attest.command()
@click.argument("folder")
@click.option("--gpg-key", required=True, metavar="ID", help="The GPG key: its address, or fingerprint.")
@json_option
def sign_checksums(folder: str, gpg_key: str, as_json: bool) -> None:
    """Write SHA256SUMS.asc beside the checksums in FOLDER, for those who must have a GPG signature.

    It is no identity to casstore and counts in no threshold.

    \b
    Example:
      casstore attest sign-checksums dist/1.4.0 --gpg-key releases@example.org
    Exit status: 0 signed, 1 GPG does not sign, 8 no checksums there, 9 the signature is there.
    """
    from bundlers.audit import gpg

    written = gpg.sign_checksums(folder, key=gpg_key)
    render.json_object({"signature": written}) if as_json else render.line(written)


attest.add_command(sbom)
attest.add_command(complete)
attest.add_command(sigstore_bundles.sign_bundle)
attest.add_command(sigstore_bundles.verify_bundle)

COMMANDS = {"attest": attest}
