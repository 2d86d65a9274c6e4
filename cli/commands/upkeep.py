"""fsck, doctor."""

from __future__ import annotations

import os

import click

from cli import render
from cli.params import json_option, pass_session
from cli.session import Session


@click.command()
@click.option("--compact", is_flag=True, help="Then write the index anew, without the room that growing has left.")
@json_option
@pass_session
def fsck(session: Session, compact: bool, as_json: bool) -> None:
    """Read and verify every stored byte; name each damaged object; rebuild a doubtful index.

    \b
    Example:
      casstore fsck
    Exit status: 0 whole (an index that was rebuilt is told), 7 damage.
    """
    from casstore.fsck import fsck as check

    with render.bar() as bar:
        report = check(session.open_store(), progress=bar)
    sizes = session.open_store().catalog.compact() if compact else None
    if as_json:
        index = {} if sizes is None else {"indexBytes": {"before": sizes[0], "after": sizes[1]}}
        render.json_object(report.to_json() | index)
    else:
        for damage in report.damaged:
            where = f"pack {damage.pack}, byte {damage.offset}"
            render.line(f"damaged: {damage.object or 'objects unknown'}: {damage.what} ({where})")
        for healed in report.healed:
            render.say(f"healed: {healed}")
        verdict = "whole" if report.ok else f"{len(report.damaged)} damaged"
        held = f"{report.objects} objects in {report.packs} packs, {render.size(report.bytes)}"
        render.line(f"{verdict}: {held}, {render.seconds(report.seconds)}")
        if sizes is not None:
            render.say(f"index: {render.size(sizes[0])} before, {render.size(sizes[1])} now")
    if report.damaged:
        raise click.exceptions.Exit(7)


@click.command()
@json_option
@pass_session
def doctor(session: Session, as_json: bool) -> None:
    """Check the set-up: Python, names, configuration, store, index, trust root, keys, clock.

    \b
    Example:
      casstore doctor
    Exit status: 0 all well, 1 something failed, 2 warnings only.
    """
    from casstore import doctor as checks

    key = os.environ.get("CASSTORE_KEY", "")
    report = checks.examine(
        config_path=session.config_path,
        cwd=os.getcwd(),
        open_store=lambda: session.open_store(read_only=True),
        replay=session.state,
        key_files=(key.removeprefix("file:"),) if key and (":" not in key or key.startswith("file:")) else (),
        now=session.now,
    )
    if as_json:
        render.json_object(report.to_json())
    else:
        for row in report.rows:
            render.line(f"{row.status:4}  {row.check}: {row.message}")
            if row.hint:
                render.say(f"hint: {row.hint}")
    if report.exit_code:
        raise click.exceptions.Exit(report.exit_code)


COMMANDS = {"fsck": fsck, "doctor": doctor}
