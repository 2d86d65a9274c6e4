"""isolation: show, accept, reference."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from attest.errors import BadInput
from cli.commands.params import json_option, pass_session, without_secrets
from cli.drawing import render
from cli.session import Session, read_file, write_new

if TYPE_CHECKING:
    from attest.digests import Digest
    from bundlers.isolation import Finding, IsolationReport, Settings
    from bundlers.isolation.explained.acceptances import Acceptance
    from bundlers.isolation.grouping import Group
    from bundlers.isolation.settings import Accepted
    from casstore.store.store import Store

_MAX_REPORT = 1 << 30


@click.group()
def isolation() -> None:
    """What products share, and why; what is accepted, and what belongs to others."""


@isolation.command()
@click.argument("release_ref", metavar="RELEASE")
@click.argument("products", nargs=-1, metavar="[PRODUCT PRODUCT]")
@click.option("--svg", metavar="FILE", help="Also draw a matrix of the products into this new file.")
@click.option("--report", metavar="FILE", help="Also write all of it into this new file, for `accept`.")
@json_option
@pass_session
def show(
    session: Session, release_ref: str, products: tuple[str, ...], svg: str | None, report: str | None, as_json: bool
) -> None:
    """What the products of RELEASE share, and why: compared by content once more; with two, only those.

    RELEASE may also be a version whose components were put and that is not released yet.

    \b
    Example:
      casstore isolation show prod core agent-linux --svg shared.svg
    Exit status: 0 nothing is in two products but what is shared with a reason, 11 a leak.
    """
    if len(products) not in (0, 2):
        raise click.UsageError("name two products, or none")
    found = _compare(session, release_ref, products)
    if svg:
        from bundlers.isolation import pictures

        write_new(svg, pictures.matrix(found).encode())
    if report:
        write_new(report, json.dumps(found.to_json()).encode())
    if as_json:
        render.json_object(found.to_json())
    else:
        _tell(found)
    if found.findings:
        raise click.exceptions.Exit(11)


def _compare(session: Session, ref: str, products: tuple[str, ...] = ()) -> IsolationReport:
    from bundlers import isolation as check
    from bundlers.releases import trial

    config = session.optional_config
    contents = trial.contents(session.open_store(read_only=True), session.state(), config, ref, products)
    settings = check.Settings.parse(config.isolation if config else {})
    return check.check(session.open_store(read_only=True), contents, settings)


def _tell(report: IsolationReport) -> None:
    from bundlers.isolation import grouping

    rows = [
        (f"{c.product_a}, {c.product_b}", "allowed", f"{c.files} files", render.size(c.size), f"{c.source}: {c.why}")
        for c in report.common
    ]
    for taken in report.accepted:
        what, why = f"{taken.files} stretches and files", f"{taken.accepted.name}: {taken.accepted.reason}"
        rows.append((", ".join(taken.made.between), "accepted", what, render.size(taken.made.size), why))
    groups = grouping.groups(report.found)
    rows += [_row(group) for group in groups]
    render.table(("PRODUCTS", "VERDICT", "WHAT", "SIZE", "WHY"), rows)
    for group in groups:
        render.line(f"{'leak' if group.fails else 'told'}: {group.told}")
    for place in report.unopened:
        render.line(f"not looked into: {place}")
    told = f", {len(report.reported)} small ones told" if report.reported else ""
    render.line(f"{report.compared} contents compared, {len(report.findings)} shared without a reason{told}")
    render.say("what is encoded (base64) or encrypted cannot be seen")


def _row(group: Group) -> tuple[str, str, str, str, str]:
    first, files = group.first, " and ".join(map(str, group.files))
    what = first.kind if len(group.rows) == 1 else f"{first.kind}, {files} files"
    verdict, why = "LEAK" if group.fails else "told", f"{first.path_a} = {first.path_b}"
    return f"{first.product_a}, {first.product_b}", verdict, what, render.size(group.size), why


@isolation.command()
@click.argument("report", metavar="REPORT")
@click.argument("sides", nargs=-1, required=True, metavar="PRODUCT:GLOB...")
@click.option("--reason", callback=without_secrets, metavar="TEXT", help="Why both products may carry it.")
@click.option("--name", metavar="NAME", help="What it is called; by default the two products and a number.")
@click.option("--whole", is_flag=True, help="Take whole files and copies of half a file by globs as well.")
@click.option("--again", metavar="NAME", help="Add what is new to this acceptance.")
@json_option
@pass_session
def accept(
    session: Session,
    report: str,
    sides: tuple[str, ...],
    reason: str | None,
    name: str | None,
    whole: bool,
    again: str | None,
    as_json: bool,
) -> None:
    """Take what REPORT shows between two products as looked at: its very bytes, with a reason.

    REPORT is a file of `isolation show --report`, or a version, which is compared anew. A finding is
    taken where both sides match (`*` stands for `/` too). Whole files, programs, secrets and copies of
    half the smaller file are taken by exact paths, or with --whole. It goes as a tree into the store,
    and as a line into casstore.toml: review and commit that. Nothing else becomes allowed by it.

    \b
    Example:
      casstore isolation accept 1.4.0 "core:lib/*" "agent:plugins/*" --reason "both link OpenBLAS"
    Exit status: 0 accepted, 2 nothing matches or no reason is given, 8 there is no such version.
    """
    from bundlers.isolation import Settings, accepting
    from casstore.config import editing

    settings = Settings.parse(session.config.isolation)
    earlier = _earlier(settings.accepted, again) if again else None
    if earlier is None and not (reason or "").strip():
        raise BadInput("an acceptance needs a reason", hint="--reason TEXT: it is signed, and approvers see it")
    found = _found(session, report)
    chosen = accepting.choose(found, [accepting.Side.parse(side) for side in sides], whole=whole)
    if not chosen.rows:
        more = f"; {len(chosen.larger)} whole ones need exact paths or --whole" if chosen.larger else ""
        raise BadInput(f"nothing in {report} matches on both sides{more}", hint="casstore isolation show lists paths")
    called = earlier.name if earlier else name or _free_name(chosen.rows[0], settings.accepted)
    if earlier is None and any(one.name == called for one in settings.accepted):
        raise BadInput(f"an acceptance is called {called!r} already", hint=f"--again {called} adds to it")
    made, tree = _accepted(session.open_store(), settings, chosen.rows, earlier)
    path = session.config.path
    if earlier is not None:
        editing.replace_accepted(path, earlier.name, earlier.tree, tree)
    else:
        editing.add_accepted(path, {"name": called, "tree": tree, "between": list(made.between), "reason": str(reason)})
    if as_json:
        value = {"name": called, "tree": tree, "between": list(made.between), "whole": made.whole, "bytes": made.size}
        render.json_object({**value, "findings": len(chosen.rows), "left": len(chosen.larger)})
        return
    for finding in sorted(chosen.rows, key=lambda finding: -finding.size):
        render.line(f"accepted: {finding.told}")
    for finding in chosen.larger:
        render.line(f"left, needs exact paths or --whole: {finding.told}")
    told = f"{len(made.stretches)} stretches, {len(made.contents)} whole files, {render.size(made.size)}"
    render.line(f"{called}: {told}, as {tree} in {os.path.basename(path)}")


def _earlier(accepted: tuple[Accepted, ...], name: str) -> Accepted:
    for row in accepted:
        if row.name == name:
            return row
    known = ", ".join(row.name for row in accepted) or "none"
    raise BadInput(f"no acceptance is called {name!r}", hint=f"known: {known}")


def _found(session: Session, report: str) -> tuple[Finding, ...]:
    from bundlers.isolation import accepting

    if os.path.isfile(report):
        return accepting.parse_report(read_file(report, max_bytes=_MAX_REPORT))
    return _compare(session, report).found


def _accepted(
    store: Store, settings: Settings, rows: tuple[Finding, ...], earlier: Accepted | None
) -> tuple[Acceptance, Digest]:
    from bundlers.isolation import accepting
    from bundlers.isolation.explained import acceptances

    before = None
    if earlier is not None:
        known, blob = acceptances.read(store, earlier.tree)
        if known.between != (rows[0].product_a, rows[0].product_b):
            raise BadInput(f"{earlier.name} is between {' and '.join(known.between)}", hint="name these two products")
        before = known, store.read(blob) if blob else b""
    made, data = accepting.acceptance(store, settings, rows, before)
    return made, acceptances.write(store, made, data)


def _free_name(row: Finding, accepted: tuple[Accepted, ...]) -> str:
    taken, number = {one.name for one in accepted}, 1
    while (name := f"{row.product_a}+{row.product_b}-{number}") in taken:
        number += 1
    return name


@isolation.command()
@click.argument("name")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@json_option
@pass_session
def reference(session: Session, name: str, sources: tuple[str, ...], as_json: bool) -> None:
    """Make NAME a reference: common content of others, which every product may carry.

    SOURCE is a folder, a wheel or another packed file, python:PACKAGE as it is installed here, or a
    package-lock.json or Cargo.lock, whose packages are taken from npm's or cargo's cache where they
    have the digest that the lock says; or a library (.rlib, .a, a package as Go compiled it), whose objects
    are known in programs wherever a linker laid them. All go as one tree into the store, and as a line into
    casstore.toml. A reference explains at most a quarter of a product, objects not counted, and is none of
    its own trees.

    \b
    Examples:
      casstore isolation reference "npm packages" web/package-lock.json
      casstore isolation reference "our common crate" target/release/deps/libcommon-*.rlib
    Exit status: 0 done, 2 the source cannot be read or is a tree of this ledger.
    """
    from bundlers.isolation.explained import foreign, reference_sources
    from casstore.config import editing

    store = session.open_store()
    path = session.config.path
    with reference_sources.folder_of(*sources) as made:
        report = store.put_tree(made.folder)
    state = session.state()
    foreign.require_foreign(store, state.components, name, report.tree)
    for source in sources:
        foreign.require_no_archive(state.releases.values(), name, source)
    editing.add_reference(path, name, report.tree)
    if as_json:
        value = {"name": name, "tree": report.tree, "packages": made.packages, "missing": list(made.missing)}
        render.json_object(value)
        return
    for package in made.missing:
        render.warning(f"{package}: is in no cache here, and is not in the reference")
    told = f"{made.packages} packages, " if made.packages > 1 else ""
    render.line(f"{name}: {told}{report.tree} in {os.path.basename(path)}")


COMMANDS = {"isolation": isolation}
