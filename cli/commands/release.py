"""release."""

from __future__ import annotations

from typing import Any

import click

from attest import digests
from attest.digests import Digest
from cli.commands.params import json_option, key_option, pass_session
from cli.drawing import render
from cli.session import Session


@click.command()
@click.argument("version")
@click.option("--out", metavar="FOLDER", help="Also write archives and papers to this new folder.")
@click.option(
    "--component", "named", multiple=True, metavar="NAME=DIGEST", help="A tree by hand instead of the ledger's."
)
@click.option("--dry-run", is_flag=True, help="Do all but the last steps; nothing becomes visible.")
@click.option(
    "--blockers", metavar="FILE", help="Keep the blockers of failed gates in this file, their signed results beside it."
)
@key_option
@json_option
@pass_session
def release(
    session: Session,
    version: str,
    out: str | None,
    named: tuple[str, ...],
    dry_run: bool,
    blockers: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Make VERSION of all products visible: gates, isolation, archives, attestations, ledger entry.

    Components are those that were put for VERSION. If anything fails, nothing is visible: no
    output folder, no release, no entry.

    \b
    Example:
      casstore release 1.4.0 --key ci.pem --out dist/1.4.0
    Exit status: 0 released (or the same again), 4 the key is no builder, 8 a component is missing,
    9 the version is taken, 10 a gate failed, 11 a product carries another's content.
    """
    from bundlers.errors import Blocked
    from bundlers.releases import ReleaseRequest
    from bundlers.releases import release as run

    with render.bar() as bar:
        request = ReleaseRequest(
            session.open_store(),
            session.ledger(),
            session.config,
            version,
            session.signer(key),
            session.now,
            out=out,
            components=dict(map(_named, named)),
            blockers=blockers,
            dry_run=dry_run,
            progress=bar,
        )
        try:
            report = run(request)
        except Blocked as exc:
            _tell_blockers(exc, as_json)
            raise
    if as_json:
        render.json_object(report.to_json())
        return
    for outcome in report.outcomes:
        render.say(f"gate {outcome.name}: passed")
        for warning in outcome.result.warnings:
            render.warning(warning)
    if report.isolation:
        render.say(f"isolation: {report.isolation.compared} contents compared, nothing in two products")
    render.table(("ARCHIVE", "SIZE", "DIGEST"), [(a.name, render.size(a.size), a.digest) for a in report.archives])
    if report.would:
        told = f"{report.would.objects} objects, {render.size(report.would.bytes)}, ledger entry {report.would.entry}"
        render.line(f"{version}: would be released ({told}); nothing was recorded")
    else:
        again = "is released already" if report.again else "is released"
        render.line(f"{version} {again}: {report.release}, ledger entry {report.entry}")


def _named(text: str) -> tuple[str, Digest]:
    name, _, digest = text.partition("=")
    return name, digests.parse(digest)


def _tell_blockers(exc: Any, as_json: bool) -> None:
    if as_json:
        render.json_object({"blockers": [blocker.to_json() for blocker in exc.blockers]})
        return
    for blocker in exc.blockers:
        render.say(f"  {blocker.issue_id}: {blocker.message}")


COMMANDS = {"release": release}
