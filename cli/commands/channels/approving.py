"""approve: look, then sign exactly that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from cli.commands.channels import agreeing
from cli.commands.params import Finite, json_option, key_option, pass_session, without_secrets
from cli.drawing import render
from cli.session import Session, write_new

if TYPE_CHECKING:
    from bundlers.releases.reviews import Review
    from casstore.promotion import ApprovalReport


@click.command()
@click.argument("release")
@click.option("--channel", "channels", required=True, multiple=True, metavar="NAME", help="Which channel; or several.")
@click.option("--action", type=click.Choice(["promote", "rollback"]), default="promote", show_default=True)
@click.option("--expires-days", type=Finite(0.001, 36500), default=7.0, show_default=True)
@click.option("--comment", callback=without_secrets, default="", help="Kept in the approval.")
@click.option("--out", metavar="FILE", help="Write the signed approval here instead of handing it in.")
@click.option("--dry-run", is_flag=True, help="Show what would be signed, with all lines; no key is needed.")
@click.option("--patch", is_flag=True, help="Show the lines of texts that differ, in a pipe too.")
@click.option("--yes", is_flag=True, help="Sign without asking, on a terminal too.")
@key_option
@json_option
@pass_session
def approve(
    session: Session,
    release: str,
    channels: tuple[str, ...],
    action: str,
    expires_days: float,
    comment: str,
    out: str | None,
    dry_run: bool,
    patch: bool,
    yes: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Sign an approval of RELEASE for one channel, one action and the diff shown.

    Shown are archives, files with their sizes, the lines of texts that differ, packages and licences that
    came by signed bills of materials, and what changed in the channel's policy since it was moved last. On a
    terminal a pager (PAGER, else less) shows it, and it is signed when you say so.

    Where the channel's policy has steps, it is for the next one. An approval covers nothing else: no other digest,
    channel, share, action or store, and ends when the channel
    moves or it expires. Several channels get one each. With --out it can be made here and handed in
    later by `casstore import`.

    \b
    Examples:
      casstore approve 1.4.0 --channel prod --key alice.pem
      casstore approve 1.4.0 --channel prod-eu --channel prod-us --key alice.pem
      casstore approve 1.4.0 --channel prod --dry-run
    Exit status: 0 signed (or shown), 1 you said no, 4 this identity is no approver, 8 no such release or
    channel, 9 the channel moved while it was shown.
    """
    from bundlers.releases import reviews
    from casstore import promotion

    names = tuple(dict.fromkeys(channels))
    if out is not None and len(names) > 1:
        raise click.UsageError("one file has one approval: name one channel with --out")
    agreeing.check(session, release)
    store, state = session.open_store(), session.state()
    seen = [reviews.review(store, state, name, release, action) for name in names]
    if not as_json:
        _show(session, seen, texts=patch, dry_run=dry_run, asked=not yes)
    if dry_run:
        if as_json:
            render.json_object({"reviews": [one.to_json() for one in seen]})
        return
    made = [
        promotion.approve(
            store,
            session.ledger(),
            release,
            channel=one.channel,
            action=action,
            signer=session.signer(key),
            now=session.now,
            expires=session.now + timedelta(days=expires_days),
            comment=comment,
            hand_in=out is None,
            seen=one.diff.digest,
        )
        for one in seen
    ]
    if out:
        write_new(out, made[0].raw)
    if as_json:
        told = [{**report.to_json(), "review": one.to_json()} for report, one in zip(made, seen, strict=True)]
        render.json_object(told[0] if len(told) == 1 else {"approvals": told})
        return
    _told(made, out)


def _show(session: Session, seen: Sequence[Review], *, texts: bool, dry_run: bool, asked: bool) -> None:
    """On a terminal with all lines and a question; of channels that show the same, once."""
    from bundlers.releases import reviews

    asked = asked and not dry_run and render.interactive() and render.on_terminal()
    whole = dry_run or asked
    store = session.open_store()
    groups: dict[object, list[Review]] = {}
    for one in seen:
        groups.setdefault(one.same_as, []).append(one)
    rows: list[str] = []
    for alike in groups.values():
        rows += reviews.lines(store, alike[0], texts=texts or whole)
        if len(alike) > 1:
            rows.append(f"the same for {', '.join(one.channel for one in alike[1:])}")
    if whole:
        render.paged(rows)
    else:
        for row in rows:
            render.say(row)
    if asked and not render.ask(f"sign this for {', '.join(one.channel for one in seen)}?", default=False):
        raise click.exceptions.Exit(1)


def _told(made: Sequence[ApprovalReport], out: str | None) -> None:
    for report in made:
        share = "" if report.share is None else f", {report.share}% of its consumers"
        render.line(f"approved {report.version} for {report.channel} ({report.action}{share}) by {report.identity}")
        where = f"written to {out}; hand it in with: casstore import {out}" if out else f"attestation {report.digest}"
        render.say(where)


COMMANDS = {"approve": approve}
