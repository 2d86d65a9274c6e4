"""affected: which releases a vulnerability touches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.commands.params import json_option, pass_session
from cli.drawing import render
from cli.session import Session

if TYPE_CHECKING:
    from bundlers.audit.affected import Affected, Row

_SHOWN = 10


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="CVE|PURL|REPORT...")
@json_option
@pass_session
def affected(session: Session, what: tuple[str, ...], as_json: bool) -> None:
    """Tell which releases, products and channels a vulnerability or a package is in.

    By the bills of materials (CycloneDX, SPDX) and scans that were signed and handed in, of all releases
    that count. REPORT is what a scanner wrote: grype, trivy or osv-scanner as JSON, or SARIF; each package
    that it names is looked for in the bills. What OpenVEX statements explain is told as such. Archives of
    which nothing was recorded are named: of these nobody knows.

    \b
    Examples:
      casstore affected CVE-2026-1234
      casstore affected pkg:cargo/openssl@0.10.45
      casstore affected grype.json
    Exit status: 0 nothing is, or all is explained; 1 something is; 2 a report cannot be read.
    """
    from bundlers.audit import affected as looking

    found = looking.affected(
        session.open_store(read_only=True),
        session.state(),
        [looking.query_of(one) for one in what],
        now=session.now,
    )
    if as_json:
        render.json_object(found.to_json())
    else:
        _tell(found)
    if found.open:
        raise click.exceptions.Exit(1)


def _tell(found: Affected) -> None:
    for report in found.reports:
        render.say(f"report of {report}")
    if found.rows:
        render.table(("RELEASE", "CHANNELS", "PRODUCT", "WHAT", "BY"), [_row(row) for row in found.rows])
    for version, archive in found.unknown[:_SHOWN]:
        render.warning(f"{version}: {archive}: nothing was recorded that says what is in it")
    if more := len(found.unknown) - _SHOWN:
        render.warning(f"and {more} more archives") if more > 0 else None
    explained = len(found.rows) - len(found.open)
    told = f", {explained} explained by OpenVEX" if explained else ""
    render.line(f"{len(found.open)} affected{told}, {len(found.unknown)} archives unknown")


def _row(row: Row) -> tuple[str, str, str, str, str]:
    what = " ".join(filter(None, (row.vulnerability, row.package)))
    verdict = " (explained)" if row.explained else ""
    return (
        row.version,
        ", ".join(row.channels) or "-",
        row.product,
        f"{what}{verdict}",
        f"{row.source} of {row.signed_by}",
    )


COMMANDS = {"affected": affected}
