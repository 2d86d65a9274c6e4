"""release."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from attest import digests
from attest.digests import Digest
from attest.errors import BadInput
from cli.commands.params import json_option, key_option, once, pass_session, strict_option
from cli.drawing import render
from cli.session import Session, read_file

if TYPE_CHECKING:
    from bundlers.releases import ReleaseReport
    from bundlers.releases.listings import ArchiveListing


_MAX_NOTES = 1024 * 1024


@click.command()
@click.argument("version")
@click.option("--out", metavar="FOLDER", help="Also write archives and papers to this new folder.")
@click.option(
    "--component", "named", multiple=True, metavar="NAME=DIGEST", help="A tree by hand instead of the ledger's."
)
@click.option(
    "--times-from",
    metavar="RELEASE",
    help="The times of a release of this ledger, or of a release's output folder, for the trees that it has too.",
)
@click.option(
    "--from", "source", metavar="RELEASE", help="Take what was not put for VERSION from this release or channel."
)
@click.option("--notes", metavar="FILE", help="A text for people, UTF-8: a part of what is signed.")
@click.option("--dry-run", is_flag=True, help="Do all but the last steps; nothing becomes visible.")
@click.option("--list", "listed", is_flag=True, help="With --dry-run: show each archive as it will be, file by file.")
@click.option(
    "--epoch", type=int, metavar="SECONDS", help="The time of all files in archives, instead of each tree's first put."
)
@click.option(
    "--blockers", metavar="FILE", help="Keep the blockers of failed gates in this file, their signed results beside it."
)
@strict_option
@key_option
@json_option
@pass_session
def release(
    session: Session,
    version: str,
    out: str | None,
    named: tuple[str, ...],
    times_from: str | None,
    source: str | None,
    notes: str | None,
    dry_run: bool,
    listed: bool,
    epoch: int | None,
    blockers: str | None,
    strict: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Make VERSION of all products visible: gates, isolation, archives, attestations, ledger entry.

    Components are those that were put for VERSION. A build that did not change since an earlier
    release keeps its archive. If anything fails, nothing is visible: no output folder, no release, no entry.

    \b
    Examples:
      casstore release 1.4.0 --key ci.pem --out dist/1.4.0
      casstore release 1.4.0 --key ci.pem --dry-run --list
      casstore release 1.4.1 --key ci.pem --from 1.4.0 --notes NEWS.md
    Exit status: 0 released (or the same again), 1 something is left out and --strict was given,
    4 the key is no builder, 8 a component is missing, 9 the version is taken, 10 a gate failed,
    11 a product carries another's content.
    """
    from bundlers.releases import ReleaseRequest, listings
    from bundlers.releases import release as run

    if listed and not dry_run:
        raise click.UsageError("--list shows what a dry run would make: give --dry-run too")
    if os.environ.get("SOURCE_DATE_EPOCH"):
        render.say("SOURCE_DATE_EPOCH counts at put: files keep the time of their first put (--epoch says another)")
    warn_of_config(session.config.path)
    with render.bar() as bar:
        request = ReleaseRequest(
            session.open_store(),
            session.ledger(),
            session.config,
            version,
            session.signer(key),
            session.now,
            out=out,
            epoch=epoch,
            components=once(map(_named, named), "--component"),
            times=_times(session, times_from) if times_from else {},
            source=source,
            notes=text_of(notes) if notes else None,
            blockers=blockers,
            dry_run=dry_run,
            strict=strict,
            progress=bar,
        )
        archives = listings.preview(request) if listed else ()
        if listed and not as_json:
            _tell_archives(archives)
        with blockers_told(as_json):
            report = run(request)
    if as_json:
        listing = {"listing": [archive.to_json() for archive in archives]} if listed else {}
        render.json_object({**report.to_json(), **listing})
    else:
        told(report)


def told(report: ReleaseReport) -> None:
    """Gates, isolation, archives, and what came of it."""
    version = report.version
    for name, origin in report.taken.items():
        render.say(f"{name}: not put for {version}, taken from {origin}")
    for outcome in report.outcomes:
        render.say(f"gate {outcome.name}: passed")
        for warning in outcome.result.warnings:
            render.warning(warning)
    if report.isolation:
        render.say(f"isolation: {report.isolation.compared} contents compared, {_isolation(report)}")
    for product, paths in report.dropped.items():
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        lost = f"{', '.join(paths[:3])}{more}"
        render.warning(
            f"product {product}: empty folders are in no archive: {lost} (folders of a component keeps them)"
        )
    render.table(
        ("PRODUCT", "ARCHIVE", "SIZE", "DIGEST", ""),
        [
            (a.manifest.key, a.name, render.size(a.size), a.digest, f"unchanged since {a.kept}" if a.kept else "")
            for a in report.archives
        ],
    )
    if report.would:
        told = f"{report.would.objects} objects, {render.size(report.would.bytes)}, ledger entry {report.would.entry}"
        render.line(f"{version}: would be released ({told}); nothing was recorded")
    else:
        again = "is released already" if report.again else "is released"
        render.line(f"{version} {again}: {report.release}, ledger entry {report.entry}")


def _isolation(report: ReleaseReport) -> str:
    """What two products share, of which nothing stopped the release."""
    count = len(report.isolation.reported) if report.isolation else 0
    if not count:
        return "nothing in two products"
    return f"{count} small ones in two products: casstore isolation show {report.version}"


def _tell_archives(archives: Sequence[ArchiveListing]) -> None:
    for archive in archives:
        platform = f" for {archive.platform}" if archive.platform else ""
        kept = f", unchanged since {archive.kept}" if archive.kept else ""
        render.line(f"{archive.name}: {archive.build}{platform}, {len(archive.members)} files{kept}")
        for member in archive.members:
            render.line(f"  {member.mode:>4} {member.size:>12} {member.time} {member.told}")


def _times(session: Session, named: str) -> dict[tuple[str, Digest], int]:
    from bundlers.products import references
    from bundlers.releases import times_of

    if os.path.isdir(named):
        return times_of.read(named)
    store = session.open_store(read_only=True)
    return times_of.of_manifests(references.manifests_of(store, session.state(), named).values())


def text_of(path: str) -> bytes:
    """A file that must be UTF-8, without the secrets in it. Raises BadInput."""
    from bundlers.inspection.secret_forms import redacted

    data = read_file(path, max_bytes=_MAX_NOTES)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise BadInput(f"{path}: not UTF-8 at byte {exc.start}", hint="save it as UTF-8") from exc
    if (clean := redacted(text)) != text:
        render.warning(f"{path}: a secret in it was taken out, for it is a part of the release")
    return clean.encode()


def warn_of_config(path: str) -> None:
    """The configuration is kept with each release, as it is."""
    from bundlers.inspection.secret_forms import matches

    data = read_file(path)
    for found in matches(data):
        line = data.count(b"\n", 0, found.start) + 1
        render.warning(
            f"{path}:{line}: a secret ({found.rule}), which is kept with the release: use a variable instead"
        )


def _named(text: str) -> tuple[str, Digest]:
    name, _, digest = text.partition("=")
    return name, digests.parse(digest)


@contextmanager
def blockers_told(as_json: bool) -> Iterator[None]:
    """What stands in the way of a release is told before the error goes on."""
    from bundlers.errors import Blocked

    try:
        yield
    except Blocked as exc:
        if as_json:
            render.json_object({"blockers": [blocker.to_json() for blocker in exc.blockers]})
        else:
            for blocker in exc.blockers:
                render.say(f"  {blocker.issue_id}: {blocker.message}")
        raise


COMMANDS = {"release": release}
