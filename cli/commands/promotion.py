"""approve, promote, rollback, unpin, explain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.commands import asking
from cli.commands.params import Finite, confirm_option, json_option, key_option, pass_session, without_secrets
from cli.drawing import render, wording
from cli.session import Session, write_new

if TYPE_CHECKING:
    from casstore.promotion import MoveReport


@click.command()
@click.argument("release")
@click.option("--channel", required=True, metavar="NAME", help="The channel that the approval is for.")
@click.option("--action", type=click.Choice(["promote", "rollback"]), default="promote", show_default=True)
@click.option("--expires-days", type=Finite(0.001, 36500), default=7.0, show_default=True)
@click.option("--comment", callback=without_secrets, default="", help="Kept in the approval.")
@click.option("--out", metavar="FILE", help="Write the signed approval here instead of handing it in.")
@key_option
@json_option
@pass_session
def approve(
    session: Session,
    release: str,
    channel: str,
    action: str,
    expires_days: float,
    comment: str,
    out: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Sign an approval of RELEASE for one channel, one action and the diff shown.

    It covers nothing else: no other digest, channel, action or store, and ends when the channel
    moves or the approval expires. With --out it can be made here and handed in later by
    `casstore import`.

    \b
    Example:
      casstore approve 1.4.0 --channel prod --key alice.pem
    Exit status: 0 signed, 4 this identity is no approver, 8 no such release or channel.
    """
    from datetime import timedelta

    from casstore import promotion

    _check_agreement(session, release)
    made = promotion.approve(
        session.open_store(),
        session.ledger(),
        release,
        channel=channel,
        action=action,
        signer=session.signer(key),
        now=session.now,
        expires=session.now + timedelta(days=expires_days),
        comment=comment,
        hand_in=out is None,
    )
    if out:
        write_new(out, made.raw)
    if as_json:
        render.json_object(made.to_json())
        return
    wording.say_diff(made.diff)
    render.line(f"approved {made.version} for {channel} ({action}) by {made.identity}")
    render.say(f"written to {out}; hand it in with: casstore import {out}" if out else f"attestation {made.digest}")


@click.command()
@click.argument("release")
@click.option("--to", "channel", required=True, metavar="CHANNEL")
@key_option
@json_option
@pass_session
def promote(session: Session, release: str, channel: str, key: str | None, as_json: bool) -> None:
    """Move CHANNEL to RELEASE: a new ledger entry, if the signed policy allows it.

    Gates that the policy wants asked at promotion (baseline, branch-protection,
    rollback-capability) are asked first, and their results handed in.

    \b
    Example:
      casstore promote 1.4.0 --to staging --key pm.pem
    Exit status: 0 moved or already there, 4 denied (what is missing is told), 5 branch protection,
    6 baseline, 8 no such release, 10 another gate failed.
    """
    from casstore import promotion

    _check_agreement(session, release)
    if names := asking.missing(session, release, channel):
        asking.ask(session, release, channel, names, key).require()
    report = promotion.promote(
        session.open_store(),
        session.ledger(),
        release,
        channel=channel,
        signer=session.signer(key),
        now=session.now,
        proposed=session.proposed_policies,
    )
    _told(session, report, key, "", as_json)


@click.command()
@click.argument("channel")
@click.option("--to", "release", metavar="RELEASE", help="Which one; default: the one before in this channel.")
@click.option(
    "--steps", type=click.IntRange(1, 10_000), help="So many releases back; what was withdrawn does not count."
)
@click.option("--reason", callback=without_secrets, required=True, help="Kept in the ledger.")
@confirm_option
@key_option
@json_option
@pass_session
def rollback(
    session: Session,
    channel: str,
    release: str | None,
    steps: int | None,
    reason: str,
    confirm: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Move CHANNEL back to an earlier release of its own history, and pin it there.

    A rollback is a new, higher ledger entry; nothing is deleted. The channel takes no promotion
    until `casstore unpin`. Without --confirm it only says what it would do.

    \b
    Examples:
      casstore rollback prod --reason "crash on start" --key pm.pem --confirm
      casstore rollback prod --to 1.2.0 --reason "data loss since 1.3" --key pm.pem --confirm
    Exit status: 0 moved (or told), 4 denied, 8 no such channel or release.
    """
    from casstore import promotion

    if release is not None and steps is not None:
        raise click.UsageError("give --to or --steps, not both")
    report = promotion.rollback(
        session.open_store(),
        session.ledger(),
        channel=channel,
        release=release,
        steps=steps or 1,
        reason=reason,
        signer=session.signer(key),
        now=session.now,
        confirm=confirm,
    )
    _told(session, report, key, reason, as_json)


@click.command()
@click.argument("channel")
@click.option("--reason", callback=without_secrets, required=True, help="Kept in the ledger.")
@key_option
@json_option
@pass_session
def unpin(session: Session, channel: str, reason: str, key: str | None, as_json: bool) -> None:
    """Let CHANNEL be promoted to again after a rollback.

    \b
    Example:
      casstore unpin prod --reason "fixed in 1.4.1" --key pm.pem
    Exit status: 0 unpinned, 4 this identity may not, 8 no such channel.
    """
    from casstore import promotion

    report = promotion.unpin(
        session.open_store(),
        session.ledger(),
        channel=channel,
        reason=reason,
        signer=session.signer(key),
        now=session.now,
    )
    _told(session, report, key, reason, as_json)


def _told(session: Session, report: MoveReport, key: str | None, reason: str, as_json: bool) -> None:
    """What a move did, here and to whom [notify] names."""
    from casstore.promotion import notices

    found: tuple[notices.Notice, ...] = ()
    config = session.optional_config
    if config is not None and config.notify and report.moved:
        store, by = session.open_store().store_id, session.signer(key).identity
        said = notices.message(report, store=store, ledger=session.ledger_name, by=by, reason=reason, now=session.now)
        found = notices.tell(config.notify, report, said, folder=config.folder)
    if as_json:
        render.json_object({**report.to_json(), "notices": [notice.to_json() for notice in found]})
    else:
        wording.told_move(report)
    for notice in found:
        if not notice.told:
            render.warning(f"notify {notice.name} was not told, after {notice.tries} tries: {notice.why}")


@click.command()
@click.argument("release", required=False)
@click.option("--to", "channel", required=True, metavar="CHANNEL")
@click.option("--action", type=click.Choice(["promote", "rollback"]), default="promote", show_default=True)
@json_option
@pass_session
def explain(session: Session, release: str | None, channel: str, action: str, as_json: bool) -> None:
    """Tell what moving CHANNEL to RELEASE still needs: who may give it, with which command.

    A rollback goes to the release before where none is named, as `casstore rollback` does.

    \b
    Examples:
      casstore explain 1.4.0 --to prod
      casstore explain --to prod --action rollback
    Exit status: 0 it would be allowed, 4 it would be denied, 8 no such release.
    """
    from casstore import promotion
    from casstore.promotion.moves import earlier_release

    state = session.state()
    if release is None:
        if action != "rollback":
            raise click.UsageError("name a RELEASE")
        release = state.releases[earlier_release(state, channel)].version
    decision = promotion.explain(
        session.open_store(read_only=True),
        session.ledger(read_only=True),
        release,
        channel=channel,
        action=action,
        now=session.now,
        proposed=session.proposed_policies,
    )
    if as_json:
        render.json_object(decision.to_json())
    else:
        wording.told_decision(decision, release=release, channel=channel, action=action)
    if not decision.allowed:
        raise click.exceptions.Exit(4)


def _check_agreement(session: Session, release: str) -> None:
    """What is approved and moved is what was put: the archives' lists against the components' trees."""
    from bundlers.products import agreement
    from casstore.ledger import release_objects

    store = session.open_store()
    digest = session.state().find_release(release).digest
    agreement.check_release(store, release_objects.parse(store.read(digest)))


COMMANDS = {
    "approve": approve,
    "promote": promote,
    "rollback": rollback,
    "unpin": unpin,
    "explain": explain,
}
