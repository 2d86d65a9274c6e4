"""release, gate, isolation."""

from __future__ import annotations

import json
from typing import Any

import click

from attest import digests
from attest.digests import Digest
from cli import render
from cli.params import json_option, key_option, pass_session
from cli.session import Session, read_file, write_new


@click.command()
@click.argument("version")
@click.option("--out", metavar="FOLDER", help="Also write archives and papers to this new folder.")
@click.option(
    "--component", "named", multiple=True, metavar="NAME=DIGEST", help="A tree by hand instead of the ledger's."
)
@click.option("--dry-run", is_flag=True, help="Do all but the last steps; nothing becomes visible.")
@click.option("--blockers", metavar="FILE", help="Write the blockers of failed gates to this new file.")
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
            dry_run=dry_run,
            progress=bar,
        )
        try:
            report = run(request)
        except Blocked as exc:
            _tell_blockers(exc, blockers, as_json)
            raise
    if as_json:
        render.json_object(report.to_json())
        return
    for outcome in report.outcomes:
        render.say(f"gate {outcome.name}: passed")
    if report.isolation:
        render.say(f"isolation: {report.isolation.compared} contents compared, nothing in two products")
    render.table(("ARCHIVE", "SIZE", "DIGEST"), [(a.name, render.size(a.size), a.digest) for a in report.archives])
    if report.dry_run:
        render.line(f"{version}: would be released; nothing was recorded")
    else:
        again = "is released already" if report.again else "is released"
        render.line(f"{version} {again}: {report.release}, ledger entry {report.entry}")


def _named(text: str) -> tuple[str, Digest]:
    name, _, digest = text.partition("=")
    return name, digests.parse(digest)


def _tell_blockers(exc: Any, file: str | None, as_json: bool) -> None:
    rows = [blocker.to_json() for blocker in exc.blockers]
    if file:
        write_new(file, (json.dumps({"blockers": rows}, indent=2) + "\n").encode())
    if as_json:
        render.json_object({"blockers": rows})
        return
    for blocker in exc.blockers:
        render.say(f"  {blocker.issue_id}: {blocker.message}")


@click.group()
def gate() -> None:
    """List, explain and run gates."""


@gate.command(name="list")
@json_option
@pass_session
def list_gates(session: Session, as_json: bool) -> None:
    """Every known gate, and whether casstore.toml lists it.

    \b
    Example:
      casstore gate list
    """
    from bundlers import gates

    config = session.optional_config
    listed = config.gates if config else {}
    rows = [
        (name, str(g.PHASE), "yes" if name in listed else "no", g.SUMMARY) for name, g in sorted(gates.known().items())
    ]
    rows += [(name, "inputs", "yes", "a command of your own") for name in sorted(listed) if "command" in listed[name]]
    if as_json:
        render.json_object({"gates": [dict(zip(("name", "phase", "listed", "summary"), r, strict=True)) for r in rows]})
    else:
        render.table(("GATE", "PHASE", "LISTED", "WHAT"), rows)


@gate.command(name="explain")
@click.argument("name")
def explain_gate(name: str) -> None:
    """What a gate checks, its phase and settings.

    \b
    Example:
      casstore gate explain budget
    Exit status: 0 told, 2 no such gate.
    """
    import inspect

    from bundlers import gates

    found = gates.find(name, {})
    render.line(inspect.cleandoc(found.__doc__ or found.SUMMARY))
    render.line(f"phase: {found.PHASE}")


@gate.command(name="run")
@click.argument("name", type=click.Choice(["seal"]))
@click.argument("folder")
@click.option("--manifest", required=True, metavar="FILE", help="The ProductManifest.")
@json_option
def run_gate(name: str, folder: str, manifest: str, as_json: bool) -> None:
    """Run the seal gate on its own: a folder against a ProductManifest, each difference explained.

    \b
    Example:
      casstore gate run seal --manifest core.product-manifest.json ./core
    Exit status: 0 sealed, 10 something differs.
    """
    from bundlers import product_manifests
    from bundlers.gates import seal

    result = seal.compare_folder(product_manifests.parse(read_file(manifest)), folder)
    if as_json:
        render.json_object({"gate": name, "passed": result.passed, "messages": list(result.messages)})
    else:
        for message in result.messages:
            render.line(message)
        render.line("sealed: every byte is what the ProductManifest says" if result.passed else "not sealed")
    if not result.passed:
        raise click.exceptions.Exit(10)


@click.command()
@click.argument("release_ref", metavar="RELEASE")
@click.argument("products", nargs=-1, metavar="[PRODUCT PRODUCT]")
@json_option
@pass_session
def isolation(session: Session, release_ref: str, products: tuple[str, ...], as_json: bool) -> None:
    """Compare the products of RELEASE by content once more; with two products, only those.

    \b
    Example:
      casstore isolation prod core agent-linux
    Exit status: 0 nothing is in two products but what is shared with a reason, 11 a leak.
    """
    from bundlers import isolation as check
    from bundlers import references

    if len(products) not in (0, 2):
        raise click.UsageError("name two products, or none")
    store = session.open_store(read_only=True)
    manifests = references.manifests_of(store, session.state(), release_ref, products)
    config = session.optional_config
    report = check.check(store, manifests, check.Settings.parse(config.isolation if config else {}))
    if as_json:
        render.json_object(report.to_json())
    else:
        for name, reason in report.shared.items():
            render.line(f"shared {name}: {reason}")
        for finding in report.findings:
            render.line(f"leak {finding.told}")
        for place in report.unopened:
            render.line(f"unopened {place}")
        render.line(f"{report.compared} contents compared, {len(report.findings)} in two products")
    if report.findings:
        raise click.exceptions.Exit(11)


COMMANDS = {"release": release, "gate": gate, "isolation": isolation}
