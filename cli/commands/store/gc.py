"""gc; pin: add, list, remove."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from attest.digests import Digest
from attest.errors import BadInput
from cli.commands.params import confirm_option, json_option, key_option, pass_session, without_secrets
from cli.drawing import render
from cli.session import Session

if TYPE_CHECKING:
    from casstore.gc.reports import CollectReport, PackRow, WhyReport

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command()
@click.option("--why", "why_digest", metavar="DIGEST", help="Only tell why this object is kept, or that nothing does.")
@click.option("--grace", default="7d", show_default=True, help="Longer than any put may take: 90s, 30m, 12h, 7d.")
@click.option(
    "--keep-last",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="Components of the last N ledger entries are kept, released or not.",
)
@confirm_option
@key_option
@json_option
@pass_session
def gc(
    session: Session, why_digest: str | None, grace: str, keep_last: int, confirm: bool, key: str | None, as_json: bool
) -> None:
    """Give up stored bytes that nothing needs: condemn, wait, mark again, delete.

    Needed is what releases, channels, evidence, the last N entries and pins lean on. A first run
    condemns packs of which less than half is needed (the rest is moved); a run after the grace
    deletes them, unless they are needed again. Both are ledger entries, signed by an owner or
    promoter. Without --confirm nothing is changed.

    \b
    Examples:
      casstore gc
      casstore gc --confirm --key promoter.pem
      casstore gc --why sha256:9f86d0...
    Exit status: 0 done or told, 4 the signer may not, 7 damage (nothing is collected), 8 no such object.
    """
    from casstore.gc import Settings, collect, why

    settings = Settings(_duration(grace), keep_last)
    if why_digest is not None:
        told = why(session.open_store(read_only=True), _digest(why_digest), settings, now=session.now)
        _tell(told, as_json)
        return
    store = session.open_store(read_only=not confirm)
    signer = session.signer(key) if confirm and _has_ledger(session) else None
    with render.bar() as bar:
        report = collect(store, settings, now=session.now, signer=signer, confirm=confirm, progress=bar)
    if as_json:
        render.json_object(report.to_json())
    else:
        _render(report)


@click.group()
def pin() -> None:
    """Keep objects that nothing else needs (a channel is unpinned by `casstore unpin`)."""


@pin.command()
@click.argument("digest")
@click.option("--reason", callback=without_secrets, default="", help="Why it is kept, for whoever finds the pin.")
@json_option
@pass_session
def add(session: Session, digest: str, reason: str, as_json: bool) -> None:
    """Keep an object, and a tree with all that is in it, until the pin is removed.

    \b
    Example:
      casstore pin add sha256:9f86d0... --reason "customer 17 runs it"
    Exit status: 0 pinned, 8 no such object, 9 a collection took it meanwhile.
    """
    from casstore.gc import pins

    made = pins.add(session.open_store(), _digest(digest), reason=reason, now=session.now)
    if as_json:
        render.json_object(made.to_json())
    else:
        render.line(f"pin {made.token} keeps {made.digest}")


@pin.command("list")
@json_option
@pass_session
def list_pins(session: Session, as_json: bool) -> None:
    """All pins of the store, oldest first.

    \b
    Example:
      casstore pin list
    Exit status: 0 listed.
    """
    from casstore.gc import pins

    found = pins.load(session.open_store(read_only=True))
    if as_json:
        render.json_object({"pins": [one.to_json() for one in found]})
    else:
        rows = [(one.token[:8], one.time.strftime("%Y-%m-%d"), one.digest, one.reason or "-") for one in found]
        render.table(("PIN", "SINCE", "DIGEST", "REASON"), rows)


@pin.command()
@click.argument("name", metavar="PIN|DIGEST")
@json_option
@pass_session
def remove(session: Session, name: str, as_json: bool) -> None:
    """Take a pin away, by its number (8 digits or more) or by the digest that it keeps.

    \b
    Example:
      casstore pin remove 8f14e45f
    Exit status: 0 removed, 8 no such pin.
    """
    from casstore.gc import pins

    gone = pins.remove(session.open_store(), name)
    if as_json:
        render.json_object({"removed": [one.to_json() for one in gone]})
    else:
        for one in gone:
            render.line(f"removed pin {one.token}, which kept {one.digest}")


def _has_ledger(session: Session) -> bool:
    from casstore.ledger.book.listing import ledger_names

    return bool(ledger_names(session.open_store()))


def _digest(text: str) -> Digest:
    from attest import digests

    return digests.parse(text if text.startswith(digests.PREFIX) else digests.PREFIX + text)


def _duration(text: str) -> timedelta:
    """`7d`, `12h`, `30m`, `90s` or `0`. Raises BadInput."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd]?)", text)
    if found is None or (found[2] == "" and int(found[1])):
        raise BadInput(f"not a duration: {text[:40]!r}", hint="write 90s, 30m, 12h, 7d, or 0")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2] or "s"])


def _render(report: CollectReport) -> None:
    if report.note:
        render.line(report.note)
    _rows("condemned" if report.done else "would condemn", report.condemned)
    _rows("waits", report.waiting)
    _rows("deleted" if report.done else "would delete", report.deleted)
    for pack in report.lifted:
        render.line(f"{'lifted' if report.done else 'would lift'} {pack}: it is needed again")
    if report.fresh:
        render.say(f"{report.fresh} packs are younger than the grace and are not judged")
    held = f"{report.packs} packs, {render.size(report.bytes)}; {report.needed} of {report.objects} objects are needed"
    freed = f"; {render.size(report.freed)} freed" if report.done else ""
    render.line(f"{held}{freed}")
    if not report.done and (report.condemned or report.deleted or report.lifted):
        render.say("nothing was changed; do it with: casstore gc --confirm")


def _rows(act: str, rows: tuple[PackRow, ...]) -> None:
    for row in rows:
        moved = f", {render.size(row.needed)} of it needed and moved" if row.needed else ""
        until = f", until {row.until.strftime('%Y-%m-%d %H:%M:%SZ')}" if row.until else ""
        render.line(f"{act} {row.pack} ({render.size(row.size)}{moved}{until})")


def _tell(report: WhyReport, as_json: bool) -> None:
    if as_json:
        render.json_object(report.to_json())
        return
    render.line(f"{'kept' if report.kept else 'not kept'}: {report.verdict}")
    for path in report.paths:
        render.line("  " + " > ".join(path))
    if report.more:
        render.line(f"  and for {report.more} more reasons")


COMMANDS = {"gc": gc, "pin": pin}
