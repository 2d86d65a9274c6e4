"""init, put, get, ls, cat, diff, du."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from cli.commands.params import Days, component_names, json_option, key_option, pass_session, strict_option
from cli.drawing import render
from cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundlers.building.building import Build
    from bundlers.building.provenance import PutReport
    from casstore.ingest import IngestReport


@click.command()
@key_option
@click.option(
    "--expires-days", type=Days, default=365, show_default=True, help="With --key: how long the trust root is valid."
)
@click.option("--yes", is_flag=True, help="Write a starter casstore.toml where there is none, without asking.")
@json_option
@pass_session
def init(session: Session, key: str | None, expires_days: int, yes: bool, as_json: bool) -> None:
    """Make a store at --store (or [store] url), after proving that it creates exclusively.

    Where no casstore.toml is here or above, a starter is offered: a commented one, made from the
    folders with build outputs that lie here. It is asked for on a terminal; in a pipe, say --yes.

    With --key, also makes a trust root in which this one key holds every role, and starts the
    ledger with it: enough to begin alone. Its policies are those of casstore.toml, or the
    starter's. Teams use `casstore keys ceremony` instead.

    \b
    Examples:
      casstore init --key key.pem --yes
      casstore --store ./store init
    Exit status: 0 made, 2 no store is named and no starter wanted, 9 there is a store already,
    12 the storage cannot be reached or overwrites.
    """
    from casstore.objects.packs import Durability
    from casstore.storage import open_storage
    from casstore.storage.probe import probe
    from casstore.store.store import Store, StoreOptions
    from cli.commands.starting import offer

    if key:
        from cli.commands.keys import check_alone

        check_alone(session, key)
    wrote = offer(session, yes=yes)
    url, config = session.store_url, session.optional_config
    options = StoreOptions(config.store.compress, Durability(config.store.durability)) if config else StoreOptions()
    probe(open_storage(url, network=session.network, create=True)).require()
    with Store.init(url, network=session.network, options=options) as store:
        result = {"store": store.url, "id": store.store_id, **({"config": wrote} if wrote else {})}
    if key:
        from cli.commands.keys import start_alone

        result["trustRoot"] = start_alone(session, key, expires_days)
    if as_json:
        render.json_object(result)
    else:
        render.line(f"store {result['id']} at {result['store']}")
        render.say(f"next: casstore {_next(session, key)}")


def _next(session: Session, key: str | None) -> str:
    """What to type after `init`."""
    if not key:
        return "keys ceremony draft --help"
    config = session.optional_config
    if config is None or not config.components:
        return (
            "put --help, once casstore.toml names what is put under [components.NAME] and shipped under [products.NAME]"
        )
    return f"put --all --release-version 1.0.0 --key {key}"


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
        _told_components(report)


def _are_components(session: Session, names: tuple[str, ...], version: str | None) -> bool:
    """Whether components are meant, and not paths: a version speaks of components, and so does the name of one."""
    known = session.few.components if session.few else ()
    strangers = [name for name in names if name not in known]
    if version is None and strangers and len(strangers) < len(names):
        raise click.UsageError(f"{strangers[0]!r} is no component; put components and paths by two commands")
    return version is not None or not strangers


def _told_components(report: PutReport) -> None:
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
    took = f"{render.seconds(command.seconds)}, {render.size(command.max_rss)} of memory, {network}"
    render.say(f"{name}: built in {took}; {len(inputs.files)} inputs by {inputs.by}: {inputs.digest}")


def _put_paths(session: Session, paths: tuple[str, ...], as_json: bool, reread: bool, strict: bool) -> None:
    from attest.errors import BadInput
    from casstore.ingest.losses import require_none
    from casstore.ingest.reports import IngestOptions

    store = session.open_store()
    rows: list[dict[str, Any]] = []
    reports: list[IngestReport] = []
    with render.bar() as bar:
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

    store = session.open_store()
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


@click.command()
@click.argument("ref")
@click.argument("target")
@json_option
@pass_session
def get(session: Session, ref: str, target: str, as_json: bool) -> None:
    """Write what REF names to TARGET: a tree as a folder, a blob as a file, every byte verified.

    REF is a digest, COMPONENT@VERSION, or RELEASE/PRODUCT[/PATH] where RELEASE is a version, a
    release digest or a channel. TARGET must not exist; it appears complete or not at all.

    \b
    Example:
      casstore get prod/core ./core
    Exit status: 0 written, 7 damaged (nothing written), 8 no such object, 9 TARGET exists.
    """
    from bundlers.products.references import resolve, write_to

    store = session.open_store(read_only=True)
    written = write_to(store, resolve(store, session.state, ref), target)
    if as_json:
        render.json_object(written.to_json())
    else:
        render.line(f"{written.digest} {written.path} ({written.files} files, {render.size(written.bytes)})")


@click.command()
@click.argument("ref", required=False)
@json_option
@pass_session
def ls(session: Session, ref: str | None, as_json: bool) -> None:
    """List what the ledger holds, or the files of what REF names.

    \b
    Examples:
      casstore ls
      casstore ls core-bin@1.4.0
      casstore ls prod/core
    Exit status: 0 listed, 8 no such object.
    """
    if ref is None:
        _ls_ledger(session, as_json)
        return
    from bundlers.products.references import listing, resolve

    store = session.open_store(read_only=True)
    rows = listing(store, resolve(store, session.state, ref))
    if as_json:
        render.json_object({"ref": ref, "entries": [row.to_json() for row in rows]})
    else:
        render.table(("MODE", "SIZE", "DIGEST", "PATH"), [(r.mode, r.size, r.digest or "-", r.path) for r in rows])


def _ls_ledger(session: Session, as_json: bool) -> None:
    state = session.state()
    components = [
        {"component": name, "version": version, "tree": tree}
        for (version, name), tree in sorted(state.components.items())
    ]
    releases = [
        {
            "version": info.version,
            "release": digest,
            "entry": info.number,
            "channels": sorted(n for n, c in state.channels.items() if c.release == digest),
        }
        for digest, info in state.releases.items()
    ]
    if as_json:
        render.json_object({"components": components, "releases": releases})
        return
    if components:
        render.table(("COMPONENT", "VERSION", "TREE"), [(c["component"], c["version"], c["tree"]) for c in components])
    if releases:
        render.line("") if components else None
        render.table(
            ("RELEASE", "DIGEST", "ENTRY", "CHANNELS"),
            [(r["version"], r["release"], r["entry"], ",".join(r["channels"]) or "-") for r in releases],  # type: ignore[arg-type]
        )
    if not components and not releases:
        render.say("nothing yet; next: casstore put --help")


@click.command()
@click.argument("ref")
@pass_session
def cat(session: Session, ref: str) -> None:
    """Write one blob to standard output; wrong bytes are never written.

    \b
    Example:
      casstore cat prod/core/LICENSE
    Exit status: 0 written, 7 damaged, 8 no such object.
    """
    from bundlers.products.references import blob_of, resolve

    store = session.open_store(read_only=True)
    with store.open_blob(blob_of(resolve(store, session.state, ref))) as blob:
        while piece := blob.read(1 << 20):
            render.raw(piece)
    render.flush()


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--stat", "how", flag_value="stat", help="How many lines of each text came and went.")
@click.option("--name-only", "how", flag_value="names", help="The names of what differs, nothing else.")
@click.option("--patch", "how", flag_value="patch", help="The lines of texts that differ, as `diff -u` shows them.")
@json_option
@pass_session
def diff(session: Session, old: str, new: str, how: str | None, as_json: bool) -> None:
    """Show what differs between two refs: releases, channels, products, archives, trees, components, files.

    Two releases differ as approvers see it: archives, layouts, platforms, what was taken from
    another release, files. Of all else the files are compared.

    \b
    Examples:
      casstore diff prod staging
      casstore diff 1.0.0/core 1.1.0/core --patch
    Exit status: 0 told (also when nothing differs), 2 a file and a folder, 8 no such object.
    """
    from bundlers.releases import differences
    from cli.drawing import diffs

    store = session.open_store(read_only=True)
    found = differences.between(store, session.state, old, new)
    if as_json:
        render.json_object(found.to_json())
        return
    if how == "stat":
        diffs.say_stat([differences.stat(store, change) for change in found.files])
    elif how == "patch":
        diffs.say_patch(line for change in found.files for line in differences.patch(store, change))
    else:
        diffs.say_rows(found.rows, names=how == "names")
    render.say(found.told)


@click.command()
@json_option
@pass_session
def du(session: Session, as_json: bool) -> None:
    """Show what each release holds alone and what it shares with others.

    Sizes are those of the files and archives, uncompressed, each content counted once.

    \b
    Example:
      casstore du
    """
    from bundlers.releases.comparisons import usage

    found = usage(session.open_store(read_only=True), session.state())
    if as_json:
        render.json_object(found.to_json())
        return
    render.table(
        ("RELEASE", "FILES", "SIZE", "ALONE", "SHARED"),
        [
            (r.version, r.files, render.size(r.bytes), render.size(r.alone), render.size(r.shared))
            for r in found.releases
        ],
    )
    render.say(
        f"{len(found.releases)} releases hold {render.size(found.bytes)}, each content counted once; "
        f"the store's packs take {render.size(found.stored)}"
    )


COMMANDS = {"init": init, "put": put, "get": get, "ls": ls, "cat": cat, "diff": diff, "du": du}
