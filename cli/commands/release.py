"""release, isolation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attest import digests
from attest.digests import Digest
from cli.commands.params import json_option, key_option, pass_session
from cli.drawing import render
from cli.session import Session, write_new

if TYPE_CHECKING:
    from bundlers.isolation import IsolationReport


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


@click.command()
@click.argument("release_ref", metavar="RELEASE")
@click.argument("products", nargs=-1, metavar="[PRODUCT PRODUCT]")
@click.option("--svg", metavar="FILE", help="Also draw a matrix of the products into this new file.")
@json_option
@pass_session
def isolation(session: Session, release_ref: str, products: tuple[str, ...], svg: str | None, as_json: bool) -> None:
    """What the products of RELEASE share, and why: compared by content once more; with two, only those.

    \b
    Example:
      casstore isolation prod core agent-linux --svg shared.svg
    Exit status: 0 nothing is in two products but what is shared with a reason, 11 a leak.
    """
    from bundlers import isolation as check
    from bundlers.products import references

    if len(products) not in (0, 2):
        raise click.UsageError("name two products, or none")
    store = session.open_store(read_only=True)
    manifests = references.manifests_of(store, session.state(), release_ref, products)
    config = session.optional_config
    report = check.check(
        store, check.Contents.each(manifests), check.Settings.parse(config.isolation if config else {})
    )
    if svg:
        from bundlers.isolation import pictures

        write_new(svg, pictures.matrix(report).encode())
    if as_json:
        render.json_object(report.to_json())
    else:
        _tell_isolation(report)
    if report.findings:
        raise click.exceptions.Exit(11)


def _tell_isolation(report: IsolationReport) -> None:
    from bundlers.isolation import grouping

    rows = [
        (f"{c.product_a}, {c.product_b}", "allowed", f"{c.files} files", render.size(c.size), f"{c.source}: {c.why}")
        for c in report.common
    ]
    for group in grouping.groups(report.found):
        first, files = group.first, " and ".join(map(str, group.files))
        what = first.kind if len(group.rows) == 1 else f"{first.kind}, {files} files"
        verdict = "LEAK" if group.fails else "told"
        why = f"{first.path_a} = {first.path_b}"
        rows.append((f"{first.product_a}, {first.product_b}", verdict, what, render.size(group.size), why))
    render.table(("PRODUCTS", "VERDICT", "WHAT", "SIZE", "WHY"), rows)
    for group in grouping.groups(report.found):
        render.line(f"{'leak' if group.fails else 'told'}: {group.told}")
    for place in report.unopened:
        render.line(f"not looked into: {place}")
    told = f", {len(report.reported)} small ones told" if report.reported else ""
    render.line(f"{report.compared} contents compared, {len(report.findings)} shared without a reason{told}")
    render.say("what is encoded (base64) or encrypted cannot be seen")


COMMANDS = {"release": release, "isolation": isolation}
