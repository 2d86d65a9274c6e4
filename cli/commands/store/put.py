"""put: components by name, files and folders, and names that come on standard input."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from cli.commands.params import component_names, json_option, key_option, pass_session, strict_option
from cli.drawing import render
from cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundlers.building.building import Build
    from bundlers.building.provenance import PutReport
    from casstore.ingest import IngestReport


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|PATH]...", shell_complete=component_names)
@click.option("--all", "all_components", is_flag=True, help="Every component of casstore.toml.")
@click.option("--release-version", metavar="VERSION", help="The version that the components belong to.")
@click.option("--root", metavar="FOLDER", help="Where the include globs start; default: casstore.toml's folder.")
@click.option("--replace", is_flag=True, help="Take other bytes for a component that this version has already.")
@click.option("--reread", is_flag=True, help="Read every file, whatever size and times say.")
@strict_option
@click.option("--from-stdin", is_flag=True, help="Store the files that standard input names, a line each.")
@click.option("-0", "--null", is_flag=True, help="With --from-stdin: names and answers end with a NUL.")
@key_option
@json_option
@pass_session
def put(
    session: Session,
    names: tuple[str, ...],
    all_components: bool,
    release_version: str | None,
    root: str | None,
    replace: bool,
    reread: bool,
    strict: bool,
    from_stdin: bool,
    null: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Store whole components, by name and with signed provenance, or plain files and folders.

    A component's files are those that its `include` globs name. Several CI jobs may put one component
    each for the same version. Where a component and a folder have the same name, the component is
    meant; `./NAME` is always the folder. A plain file or folder is recorded nowhere. What is known already costs
    nothing. Success is reported only when everything is durable. With --from-stdin each file is
    acknowledged by `DIGEST PATH` as soon as it is durable; what cannot be kept is named, the others go on.

    \b
    Examples:
      casstore put core-bin licences --release-version 1.4.0 --key ci.pem
      casstore put --all --release-version 1.4.0 --key ci.pem
      casstore put ./build/out
      find build -type f -print0 | casstore put --from-stdin -0
    Exit status: 0 stored, 1 a file cannot be kept (named), or not all of one with --strict, 2 usage, 8 no store,
    9 the version has other bytes for a component, or is released with others, 12 disk full.
    """
    if bool(names) + all_components + from_stdin != 1:
        raise click.UsageError("name components or PATHs, or give --all or --from-stdin")
    if from_stdin:
        _put_stream(session, b"\0" if null else b"\n", as_json)
        return
    if not all_components and not _are_components(session, names, release_version):
        _put_paths(session, names, as_json, reread, strict)
        return
    if not release_version:
        raise click.UsageError("components need --release-version VERSION (a folder of that name: ./NAME)")
    from bundlers.building.provenance import put_components

    names = tuple(session.config.components) if all_components else names
    with render.bar() as bar:
        report = put_components(
            session.open_store(),
            session.ledger(),
            session.config,
            names,
            version=release_version,
            signer=session.signer(key),
            root=root or session.root,
            now=session.now,
            progress=bar,
            reread=reread,
            replace=replace,
            strict=strict,
        )
    if as_json:
        render.json_object(report.to_json())
    else:
        told_components(report)


def _are_components(session: Session, names: tuple[str, ...], version: str | None) -> bool:
    """Whether components are meant, and not paths: a version speaks of components, and so does the name of one."""
    known = session.few.components if session.few else ()
    strangers = [name for name in names if name not in known]
    if version is None and strangers and len(strangers) < len(names):
        raise click.UsageError(f"{strangers[0]!r} is no component; put components and paths by two commands")
    return version is not None or not strangers


def told_components(report: PutReport) -> None:
    """A table of what was put, and what is to be known of it."""
    render.table(
        ("COMPONENT", "TREE", "FILES", "SIZE", "NEW", "TIME"),
        [
            (
                c.name,
                c.report.tree,
                c.report.files,
                render.size(c.report.bytes),
                render.size(c.report.new_bytes),
                render.seconds(c.report.seconds),
            )
            for c in report.components
        ],
    )
    for component in report.components:
        _warn_of_losses(f"component {component.name}", component.report)
        if component.build:
            _told_build(component.name, component.build)
    if report.entry is None:
        render.say(f"version {report.version} has the same already; nothing was recorded")
        return
    for name in report.replaced:
        render.warning(f"component {name} of version {report.version} had other bytes before, which are replaced")
    render.say(f"recorded as ledger entry {report.entry.number}")


def _told_build(name: str, build: Build) -> None:
    command, inputs = build.command, build.inputs
    network = {"none": "no network", "allowed": "network allowed"}.get(command.network)
    if network is None:
        network = "network NOT taken away"
        render.warning(f"component {name}: this system does not let us take the network away from a build")
    if build.sees == "unenforced":
        render.warning(f"component {name}: this system does not let us hide other files than its inputs from a build")
    took = f"{render.seconds(command.seconds)}, {render.size(command.max_rss)} of memory, {network}"
    render.say(f"{name}: built in {took}; {len(inputs.files)} inputs by {inputs.by}: {inputs.digest}")


def _put_paths(session: Session, paths: tuple[str, ...], as_json: bool, reread: bool, strict: bool) -> None:
    from attest.errors import BadInput
    from casstore.ingest.losses import require_none
    from casstore.ingest.reports import IngestOptions

    store = session.filled_store()
    rows: list[dict[str, Any]] = []
    reports: list[IngestReport] = []
    with render.bar() as bar, store.gathering():
        for path in paths:
            if not os.path.lexists(path):
                raise BadInput(f"{path}: no such file or folder")
            if os.path.isdir(path):
                reports.append(store.put_tree(path, progress=bar, options=IngestOptions(stat_cache=not reread)))
                if strict:
                    require_none(reports[-1].losses, path)
                rows.append({"path": path, **reports[-1].to_json()})
            else:
                rows.append({"path": path, "digest": store.put_path(path)})
    if as_json:
        render.json_object({"stored": rows})
    else:
        for row in rows:
            render.line(f"{row.get('tree') or row['digest']} {row['path']}")
        for report, folder in zip(reports, [row["path"] for row in rows if "tree" in row], strict=True):
            render.say(_summary(report))
            _warn_of_losses(folder, report)


def _summary(report: IngestReport) -> str:
    new = f"{report.new_files} new"
    if report.new_files:
        new += f" ({render.size(report.new_bytes)}, stored in {render.size(report.stored_bytes)})"
    rate = render.size(int(report.bytes / max(report.seconds, 0.001)))
    return (
        f"{report.files} files, {render.size(report.bytes)}: {new}, {report.files - report.new_files} known; "
        f"{render.seconds(report.seconds)}, {rate}/s"
    )


def _warn_of_losses(what: str, report: IngestReport) -> None:
    for loss in report.losses:
        render.warning(f"{what}: {loss.told}")


def _put_stream(session: Session, end: bytes, as_json: bool) -> None:
    from casstore.errors import UnsupportedInput

    store = session.filled_store()
    kept: list[dict[str, str]] = []
    failed = 0
    for paths in _named_on_stdin(end):
        for outcome in store.put_stream(paths):
            if outcome.error is not None:
                failed += 1
                render.error(outcome.error.message, hint=outcome.error.hint)
            elif as_json:
                kept.append({"path": os.fsdecode(outcome.path), "digest": str(outcome.digest)})
            else:
                render.raw(b"%b %b%b" % (str(outcome.digest).encode(), outcome.path, end))
        render.flush()
    if as_json:
        render.json_object({"stored": kept, "failed": failed})
    if failed:
        raise UnsupportedInput(f"{failed} of the named paths were not kept", hint="see above; the others are stored")


def _named_on_stdin(end: bytes) -> Iterator[list[bytes]]:
    """The paths that have arrived by now, whenever some have."""
    left = b""
    while data := os.read(0, 1 << 20):
        *names, left = (left + data).split(end)
        if names := [name for name in names if name]:
            yield names
    if left:
        yield [left]


COMMANDS = {"put": put}
