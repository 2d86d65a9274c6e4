"""run: from sources to a release by one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.commands.params import json_option, key_option, pass_session, strict_option
from cli.commands.releases.release import blockers_told, text_of, told, warn_of_config
from cli.commands.store.put import told_components
from cli.drawing import render
from cli.session import Session

if TYPE_CHECKING:
    from bundlers.releases.whole import WholeReport


@click.command()
@click.argument("version")
@click.argument("names", nargs=-1, metavar="[COMPONENT...]")
@click.option("--out", metavar="FOLDER", help="Also write archives and papers to this new folder.")
@click.option("--from", "source", metavar="RELEASE", help="Take components that are not named from this release.")
@click.option("--notes", metavar="FILE", help="A text for people, UTF-8: a part of what is signed.")
@click.option("--blockers", metavar="FILE", help="Keep the blockers of failed gates in this file.")
@click.option("--dry-run", is_flag=True, help="Build and ask all gates; nothing is put.")
@strict_option
@key_option
@json_option
@pass_session
def run(
    session: Session,
    version: str,
    names: tuple[str, ...],
    out: str | None,
    source: str | None,
    notes: str | None,
    blockers: str | None,
    dry_run: bool,
    strict: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """From sources to a release: gates on sources, builds, gates on outputs, put, release of VERSION.

    Everything is done on a clone of the store first: when a gate or a build fails, nothing is put and no
    ledger entry is written. Each build runs once; what is put is what the gates saw. Without COMPONENTs
    all are built. Gates on sources: `secrets`, and commands with `phase = "sources"`.

    \b
    Examples:
      casstore run 1.4.0 --key ci.pem --out dist/1.4.0
      casstore run 1.4.1 core-bin --from 1.4.0 --key ci.pem
    Exit status: 0 released, 1 a build failed, or something is left out and --strict was given, 4 the key is no
    builder, 9 the version is taken, 10 a gate failed, 11 a product carries another's content.
    """
    from bundlers.releases import ReleaseRequest, whole

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
            source=source,
            notes=text_of(notes) if notes else None,
            blockers=blockers,
            dry_run=dry_run,
            strict=strict,
            progress=bar,
        )
        with blockers_told(as_json):
            report = whole.run(request, names or tuple(session.config.components), root=session.root)
    if as_json:
        render.json_object(report.to_json())
    else:
        _told(report)


def _told(report: WholeReport) -> None:
    for outcome in report.sources:
        render.say(f"gate {outcome.name}: passed on sources")
    if report.put:
        told_components(report.put)
    told(report.release)


COMMANDS = {"run": run}
