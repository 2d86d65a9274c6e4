"""channel, status: where the channels stand, how they came there, how two differ, and what waits for whom."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from attest.digests import Digest
from attest.errors import BadInput
from cli.commands.params import Finite, json_option, pass_session
from cli.drawing import render, standing
from cli.session import Session

if TYPE_CHECKING:
    from casstore.promotion import StatusReport


class _Channels(click.Group):
    """A word that is no command is a channel, whose moves are told."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not ctx.resilient_parsing:
            args = ["log", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Channels, invoke_without_command=True)
@json_option
@click.pass_context
def channel(ctx: click.Context, as_json: bool) -> None:
    """Show what is in each channel, since when, and who allowed it; with a NAME, its moves (as `log NAME`).

    \b
    Examples:
      casstore channel
      casstore channel prod
    Exit status: 0 shown, 8 no such channel.
    """
    if ctx.invoked_subcommand is not None:
        return
    from casstore import promotion

    session = ctx.find_object(Session) or ctx.fail("no session")
    report = promotion.channels(session.open_store(read_only=True), session.ledger(read_only=True))
    if as_json:
        render.json_object(report.to_json())
    else:
        standing.told_channels(report)


@channel.command()
@click.argument("name")
@json_option
@pass_session
def log(session: Session, name: str, as_json: bool) -> None:
    """Show every move of a channel, oldest first: promotions, rollbacks, pins and unpins, by whom and why.

    \b
    Example:
      casstore channel log prod
    Exit status: 0 shown, 8 no such channel.
    """
    from casstore import promotion

    report = promotion.channels(session.open_store(read_only=True), session.ledger(read_only=True), name=name)
    if as_json:
        render.json_object(report.to_json())
    else:
        standing.told_log(report)


@channel.command()
@click.argument("name", metavar="NAME[@WHEN]")
@json_option
@pass_session
def show(session: Session, name: str, as_json: bool) -> None:
    """Show one channel: its release, archives, and the evidence and policy by which it came there.

    WHEN is a day (its first moment, UTC), a time or the number of a ledger entry; without it: now.

    \b
    Examples:
      casstore channel show prod
      casstore channel show prod@2026-01-01
      casstore channel show prod@2026-01-01T09:30:00Z
    Exit status: 0 shown, 8 no such channel.
    """
    from casstore import promotion

    bare, at = _when(name)
    report = promotion.standing(session.open_store(read_only=True), session.ledger(read_only=True), bare, at)
    if as_json:
        render.json_object(report.to_json())
    else:
        standing.told_standing(report)
        _tell_notes(session, report.row.release)


def _tell_notes(session: Session, release: Digest | None) -> None:
    """What the release says of itself."""
    from casstore.ledger import release_objects

    store = session.open_store(read_only=True)
    notes = release_objects.parse(store.read(release)).notes if release else None
    if notes is not None:
        render.line("  notes:")
        for line in store.read(notes).decode("utf-8", "replace").splitlines():
            render.line(f"    {line}")


@channel.command()
@click.argument("old", metavar="NAME[@WHEN]")
@click.argument("new", metavar="NAME[@WHEN]")
@json_option
@pass_session
def diff(session: Session, old: str, new: str, as_json: bool) -> None:
    """Show what differs between two channels: files, archives, the evidence they were moved by, their policies.

    \b
    Examples:
      casstore channel diff prod staging
      casstore channel diff prod@2026-01-01 prod
    Exit status: 0 told (also when nothing differs), 8 no such channel, or it named no release.
    """
    from bundlers.releases import channel_diffs

    found = channel_diffs.diff(
        session.open_store(read_only=True), session.state(), (old, *_when(old)), (new, *_when(new))
    )
    if as_json:
        render.json_object(found.to_json())
    else:
        standing.told_diff(found)


@click.command()
@click.option("--watch", is_flag=True, help="Tell it again whenever it changed, until Ctrl-C.")
@click.option(
    "--every", type=Finite(0.1, 86400), default=5.0, show_default=True, metavar="SECONDS", help="How often to look."
)
@json_option
@pass_session
def status(session: Session, watch: bool, every: float, as_json: bool) -> None:
    """Tell what waits for whom, in all channels: moves that could come next, and what is not published yet.

    With --json each move also has the rules that block it, as `casstore explain --json` has them.

    \b
    Examples:
      casstore status
      casstore status --watch
    Exit status: 0 told.
    """
    if not watch:
        report = _waiting(session)
        render.json_object(report.to_json()) if as_json else standing.told_status(report)
        return
    if as_json:
        raise click.UsageError("--json is one object: call it as often as you like, without --watch")
    with contextlib.suppress(KeyboardInterrupt):
        _watch(session, every)


def _watch(session: Session, every: float) -> None:
    """Until Ctrl-C."""
    waits = None
    while True:
        report = _waiting(session)
        if report.waits != waits:
            render.line(f"at {report.at:%Y-%m-%d %H:%M:%SZ}:" if waits is None else f"changed, {report.at:%H:%M:%SZ}:")
            standing.told_status(report)
            render.flush()
        waits = report.waits
        time.sleep(every)


def _waiting(session: Session) -> StatusReport:
    from casstore import promotion

    config = session.optional_config
    return promotion.waiting(
        session.open_store(read_only=True),
        session.ledger(read_only=True),
        now=session.now,
        proposed=config.channels if config and config.channels else None,
    )


def _when(name: str) -> tuple[str, datetime | int | None]:
    """`prod@2026-01-01` to name and time. Raises BadInput."""
    from attest.core import times
    from attest.errors import FormatError

    bare, said, when = name.partition("@")
    if not said:
        return bare, None
    if when.isascii() and when.isdigit():
        return bare, int(when)
    try:
        return bare, times.parse(when if "T" in when else f"{when}T00:00:00Z")
    except FormatError as exc:
        raise BadInput(
            f"{name}: {when[:60]!r} is no time", hint="write prod@2026-01-01, prod@2026-01-01T09:30:00Z or prod@41"
        ) from exc


COMMANDS = {"channel": channel, "status": status}
