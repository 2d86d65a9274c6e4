"""promote, rollback, unpin, explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.commands.channels import agreeing
from cli.commands.params import confirm_option, json_option, key_option, pass_session, share_option, without_secrets
from cli.commands.releases import asking
from cli.drawing import render, wording
from cli.session import Session

if TYPE_CHECKING:
    from casstore.promotion import MoveReport


@click.command()
@click.argument("release")
@click.option("--to", "channels", required=True, multiple=True, metavar="CHANNEL", help="One, or several.")
@share_option
@key_option
@json_option
@pass_session
def promote(
    session: Session, release: str, channels: tuple[str, ...], share: int | None, key: str | None, as_json: bool
) -> None:
    """Move CHANNEL to RELEASE: a new ledger entry, if the signed policy allows it.

    With --share only that part of its consumers gets it, drawn by their install ids; the others keep what
    the channel names. The signed policy has the steps; `casstore rollback CHANNEL` takes it back.

    Gates that the policy wants asked at promotion (baseline, branch-protection,
    rollback-capability) are asked first, and their results handed in. Of several channels each is a
    move of its own, in the order named; the first that is denied ends it.

    \b
    Examples:
      casstore promote 1.4.0 --to staging --key pm.pem
      casstore promote 1.4.0 --to prod-eu --to prod-us --key pm.pem
      casstore promote 1.4.0 --to prod --share 5% --key pm.pem
    Exit status: 0 moved or already there, 4 denied (what is missing is told), 5 branch protection,
    6 baseline, 8 no such release, 10 another gate failed.
    """
    from casstore import promotion

    agreeing.check(session, release)
    made = []
    for channel in dict.fromkeys(channels):
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
            share=share,
        )
        made.append(_done(session, report, key, "", as_json))
    if as_json:
        render.json_object(made[0] if len(made) == 1 else {"moves": made})


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

    A rollback is a new, higher ledger entry; nothing is deleted. While a release reaches a share of CHANNEL, the
    one before is what all others have: those of the share get it back. The channel takes no promotion
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
@confirm_option
@key_option
@json_option
@pass_session
def unpin(session: Session, channel: str, reason: str, confirm: bool, key: str | None, as_json: bool) -> None:
    """Let CHANNEL be promoted to again after a rollback.

    An approval is for the channel as it stands, so those handed in since the rollback end with it: where there are
    such they are named, and it is done with --confirm alone.

    \b
    Example:
      casstore unpin prod --reason "fixed in 1.4.1" --key pm.pem
    Exit status: 0 unpinned, or told what it ends, 4 this identity may not, 8 no such channel.
    """
    from casstore import promotion

    report = promotion.unpin(
        session.open_store(),
        session.ledger(),
        channel=channel,
        reason=reason,
        signer=session.signer(key),
        now=session.now,
        confirm=confirm,
    )
    _told(session, report, key, reason, as_json)


def _told(session: Session, report: MoveReport, key: str | None, reason: str, as_json: bool) -> None:
    """What a move did."""
    done = _done(session, report, key, reason, as_json)
    if as_json:
        render.json_object(done)


def _done(session: Session, report: MoveReport, key: str | None, reason: str, quiet: bool) -> dict[str, Any]:
    """Tell whom [notify] names, and unless `quiet` people here; for `--json`."""
    from casstore.promotion import notices

    found: tuple[notices.Notice, ...] = ()
    if report.moved and session.few is not None and session.few.notifies:
        config = session.config
        store, by = session.open_store().store_id, session.signer(key).identity
        said = notices.message(report, store=store, ledger=session.ledger_name, by=by, reason=reason, now=session.now)
        found = notices.tell(config.notify, report, said, folder=config.folder)
    if not quiet:
        wording.told_move(report)
    for notice in found:
        if not notice.told:
            render.warning(f"notify {notice.name} was not told, after {notice.tries} tries: {notice.why}")
    return {**report.to_json(), "notices": [notice.to_json() for notice in found]}


@click.command()
@click.argument("release", required=False)
@click.option("--to", "channel", required=True, metavar="CHANNEL")
@click.option("--action", type=click.Choice(["promote", "rollback"]), default="promote", show_default=True)
@share_option
@json_option
@pass_session
def explain(session: Session, release: str | None, channel: str, action: str, share: int | None, as_json: bool) -> None:
    """Tell what moving CHANNEL to RELEASE still needs: who may give it, with which command.

    Where the policy has steps, the next one is told, unless --share names another.

    A rollback goes to the release before where none is named, as `casstore rollback` does.

    \b
    Examples:
      casstore explain 1.4.0 --to prod
      casstore explain --to prod --action rollback
    Exit status: 0 it would be allowed, 4 it would be denied, 8 no such release.
    """
    from casstore import promotion
    from casstore.promotion.moves import earlier_release
    from casstore.promotion.services import next_step

    state = session.state()
    if release is None:
        if action != "rollback":
            raise click.UsageError("name a RELEASE")
        release = state.releases[earlier_release(state, channel)].version
    share = share or next_step(state, state.channel(channel), action)
    decision = promotion.explain(
        session.open_store(read_only=True),
        session.ledger(read_only=True),
        release,
        channel=channel,
        action=action,
        now=session.now,
        proposed=session.proposed_policies,
        share=share,
    )
    if as_json:
        render.json_object({**decision.to_json(), "share": share})
    else:
        wording.told_decision(decision, release=release, channel=channel, action=action, share=share)
    if not decision.allowed:
        raise click.exceptions.Exit(4)


COMMANDS = {
    "promote": promote,
    "rollback": rollback,
    "unpin": unpin,
    "explain": explain,
}
