"""fsck, doctor."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from cli.commands.params import json_option, pass_session
from cli.drawing import render
from cli.session import Session

if TYPE_CHECKING:
    from attest.trust.witnesses import Witness
    from casstore.fsck import FsckReport


@click.command()
@click.option("--repair", is_flag=True, help="Mend what is damaged, with good copies from --from.")
@click.option("--from", "source", metavar="STORE", help="Another store (any URL) that has good copies.")
@click.option("--published", metavar="NAME", help="What was published to this destination of casstore.toml, instead.")
@click.option("--compact", is_flag=True, help="Then write the index anew, without the room that growing has left.")
@json_option
@pass_session
def fsck(
    session: Session, repair: bool, source: str | None, published: str | None, compact: bool, as_json: bool
) -> None:
    """Read and verify every stored byte; name each damaged object and what needs it; rebuild a doubtful index.

    With --repair, damaged packs are taken whole from the other store, or made anew from good copies of
    their objects; what was damaged is kept in quarantine/. With --published every file of a destination is
    read and held against the store, and mended from it.

    \b
    Examples:
      casstore fsck
      casstore fsck --repair --from s3://mirror/store
      casstore fsck --published cdn --repair
    Exit status: 0 whole or mended (an index that was rebuilt is told), 7 damage that remains.
    """
    if published is not None:
        if source is not None or compact:
            raise click.UsageError("--published is mended from the store itself: no --from, no --compact")
        _published(session, published, repair, as_json)
        return
    if repair != (source is not None):
        raise click.UsageError("--repair and --from STORE go together")
    report = _checked(session, source)
    sizes = session.open_store().catalog.compact() if compact else None
    if as_json:
        index = {} if sizes is None else {"indexBytes": {"before": sizes[0], "after": sizes[1]}}
        render.json_object(report.to_json() | index)
    else:
        _show(report)
        if sizes is not None:
            render.say(f"index: {render.size(sizes[0])} before, {render.size(sizes[1])} now")
    if report.damaged:
        raise click.exceptions.Exit(7)


def _checked(session: Session, source: str | None) -> FsckReport:
    from casstore.fsck import fsck as check
    from casstore.fsck import mend_config, repair
    from casstore.storage import open_storage
    from casstore.store.store import Store

    with render.bar() as bar:
        if source is None:
            return check(session.open_store(), progress=bar)
        with Store.open(source, network=session.network, read_only=True) as other:
            if mend_config(open_storage(session.store_url, network=session.network), other):
                render.say("mended: casstore.json")
            return repair(session.open_store(), other, progress=bar)


def _published(session: Session, name: str, repair: bool, as_json: bool) -> None:
    from bundlers.publishing import published_check
    from bundlers.publishing.layout.destinations import settings_of
    from casstore.storage import open_storage

    storage = open_storage(settings_of(session.config, name).url, network=session.network)
    report = published_check.check(storage, session.open_store(), session.ledger(), name)
    if repair:
        published_check.mend(storage, session.open_store(), report)
    if as_json:
        found = {"files": report.files, "damaged": report.damaged, "mended": report.mended}
        render.json_object({"ok": not report.damaged, **found, "strangers": report.strangers})
    else:
        for path, what in report.damaged.items():
            render.line(f"damaged: {path}: {what}")
        for path in report.mended:
            render.line(f"mended: {path}: made from the store")
        for stranger in report.strangers:
            render.say(f"not of this publication: {stranger}")
        render.line(f"{'whole' if not report.damaged else f'{len(report.damaged)} damaged'}: {report.files} files")
    if report.damaged:
        raise click.exceptions.Exit(7)


def _show(report: FsckReport) -> None:
    for damage in report.damaged:
        where = f" (pack {damage.pack}, byte {damage.offset})" if damage.pack else ""
        needed = f"; needed by {', '.join(damage.needed_by)}" if damage.needed_by else ""
        render.line(f"damaged: {damage.record or damage.object or 'objects unknown'}: {damage.what}{where}{needed}")
    for one in report.mended:
        render.line(f"mended: {one.record or one.object or f'pack {one.pack}'}: {one.how}")
    for stranger in report.strangers:
        render.say(f"not of this store: {stranger}")
    for healed in report.healed:
        render.say(f"healed: {healed}")
    verdict = "whole" if report.ok else f"{len(report.damaged)} damaged"
    held = f"{report.objects} objects in {report.packs} packs, {render.size(report.bytes)}"
    render.line(f"{verdict}: {held}, {render.seconds(report.seconds)}")


def _looks(session: Session) -> Callable[[str, str], tuple[str, bool] | None] | None:
    from attest.errors import CasstoreError
    from cli.commands.answers.audit import looks

    try:
        return looks(session)
    except CasstoreError:  # configuration, store or ledger: each has its own row
        return None


def _newest_lines(session: Session) -> Callable[[Witness], tuple[int, datetime] | None] | None:
    from attest.errors import CasstoreError
    from bundlers.consuming import witness_lines
    from bundlers.publishing import cosigned
    from bundlers.publishing.layout.destinations import settings_of
    from casstore.ledger import checkpoints

    try:
        config, state = session.config, session.state()
        urls = [settings_of(config, name).url for name in config.destinations]
        urls += config.witness_places
        places = witness_lines.read_from(dict.fromkeys(urls), network=session.network)
    except CasstoreError:  # configuration, store or ledger: each has its own row
        return None
    return lambda one: cosigned.newest(places, one, checkpoints.origin(state.store, state.ledger))


@click.command()
@json_option
@pass_session
def doctor(session: Session, as_json: bool) -> None:
    """Check the set-up: Python, names, what shuts in parsers and builds, configuration, store, index, trust root, keys,
    clock.

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
        look=_looks(session),
        newest_line=_newest_lines(session),
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
