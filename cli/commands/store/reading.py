"""get, ls, cat, diff, du."""

from __future__ import annotations

import click

from cli.commands.params import json_option, pass_session
from cli.drawing import render
from cli.session import Session


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
    target = resolve(store, session.state, ref)
    if as_json:
        render.json_object({"ref": ref, "entries": [row.to_json() for row in listing(store, target)]})
        return
    render.long_table(
        ("MODE", "SIZE", "DIGEST", "PATH"),
        lambda: ((row.mode, row.size, row.digest or "-", row.path) for row in listing(store, target)),
    )


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
            "channels": sorted(n for n, c in state.channels.items() if digest in c.gives),
        }
        for digest, info in sorted(state.releases.items(), key=lambda item: item[1].number)
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
    from bundlers.releases.usage import usage

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


COMMANDS = {"get": get, "ls": ls, "cat": cat, "diff": diff, "du": du}
