"""approve, promote, rollback, unpin, explain, revoke, suspend, policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from attest import digests
from cli.commands import asking
from cli.commands.params import Finite, confirm_option, json_option, key_option, pass_session, without_secrets
from cli.commands.whence import known_of_feed
from cli.drawing import render, wording
from cli.session import Session, read_file, write_new

if TYPE_CHECKING:
    from casstore.promotion import MoveReport, RevocationReport


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
        proposed=proposed_policies(session),
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
        proposed=proposed_policies(session),
    )
    if as_json:
        render.json_object(decision.to_json())
    else:
        wording.told_decision(decision, release=release, channel=channel, action=action)
    if not decision.allowed:
        raise click.exceptions.Exit(4)


@click.command()
@click.argument("what", nargs=-1)
@click.option("--kind", type=click.Choice(["artifact", "attestation", "identity"]), default="artifact")
@click.option("--reason", callback=without_secrets, metavar="TEXT", help="Kept in the ledger; consumers see it.")
@click.option(
    "--from-entry", type=click.IntRange(min=1), help="An identity: what was recorded before ENTRY stays good."
)
@click.option("--out", metavar="FILE", help="Write it signed by this owner, for others to join.")
@click.option(
    "--join", metavar="FILE", help="Sign what another owner wrote with --out; it takes effect when enough did."
)
@click.option("--list", "feed", metavar="FILE", help="Also the digests of a feed, one a line, that something holds.")
@click.option("--ahead", is_flag=True, help="Also what nothing here holds yet: it can never be put or released.")
@confirm_option
@key_option
@json_option
@pass_session
def revoke(
    session: Session,
    what: tuple[str, ...],
    kind: str,
    reason: str | None,
    from_entry: int | None,
    out: str | None,
    join: str | None,
    feed: str | None,
    ahead: bool,
    confirm: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Withdraw an artifact, an attestation (digests) or an identity, for every reader, offline too.

    An artifact is a release, an archive, a component's tree, or any file or folder inside one: every
    release that holds it counts no more, and nothing that holds it can be put, released or moved.
    An identity that holds a role, or held one, is revoked by as many owners as the trust root's threshold
    says. What it signs then counts nowhere, and nobody can take that back; an approval that is revoked does
    not keep its signer from making another.

    \b
    Examples:
      casstore revoke sha256:... --reason "leaked token inside" --key owner.pem --confirm
      casstore revoke laptop --kind identity --reason stolen --key owner.pem --confirm
      casstore revoke ci --kind identity --from-entry 41 --reason leaked --key ann.pem --out ci.revoke
      casstore revoke --join ci.revoke --key ben.pem --confirm
      casstore revoke --list hashes.txt --reason "malware feed" --key owner.pem --confirm
    Exit status: 0 revoked (or told), 4 this identity may not, 8 nothing here has this digest.
    """
    from casstore import promotion

    if join is not None:
        _join(session, join, out, confirm, key, as_json)
        return
    if not what and feed is None:
        raise click.UsageError("name what to revoke, or give --list FILE")
    if reason is None:
        raise click.UsageError("say why: --reason TEXT")
    named = [(one, ahead) for one in what]
    if feed is not None:
        named += [(digest, True) for digest in known_of_feed(session, feed, ahead=ahead)]
    for one, unknown_too in named:
        report = promotion.revoke(
            session.open_store(),
            session.ledger(),
            one,
            kind=kind,
            reason=reason,
            signer=session.signer(key),
            now=session.now,
            confirm=confirm,
            ahead=unknown_too,
            from_entry=from_entry,
            hand_in=out is None,
        )
        if out is not None and confirm:
            write_new(out, report.raw)
        if as_json:
            render.json_object(report.to_json())
            continue
        done = _done(report, out) if confirm else "would be revoked (give --confirm)"
        render.line(f"{kind} {one}: {done}")
        for affected in report.affected:
            render.say(f"affected: {affected}")


def _done(report: RevocationReport, out: str | None) -> str:
    if report.number is not None:
        return f"revoked, ledger entry {report.number}"
    return f"signed, {out}; the next owner: casstore revoke --join {out} --key URI --confirm"


def _join(session: Session, file: str, out: str | None, confirm: bool, key: str | None, as_json: bool) -> None:
    from casstore import promotion

    report = promotion.join(
        session.open_store(),
        session.ledger(),
        read_file(file),
        signer=session.signer(key),
        now=session.now,
        hand_in=confirm and out is None,
    )
    if out is not None and confirm:
        write_new(out, report.raw)
    if as_json:
        render.json_object(report.to_json())
        return
    done = _done(report, out) if confirm else "would be signed (give --confirm)"
    render.line(f"{report.kind} {report.subject}: {done}")
    for affected in report.affected:
        render.say(f"affected: {affected}")


@click.command()
@click.argument("who")
@click.option(
    "--reason", callback=without_secrets, required=True, metavar="TEXT", help="Kept in the ledger; consumers see it."
)
@confirm_option
@key_option
@json_option
@pass_session
def suspend(session: Session, who: str, reason: str, confirm: bool, key: str | None, as_json: bool) -> None:
    """Take an identity out at once, for 72 hours; one owner or auditor is enough.

    While it lasts nothing that it signed counts, for every reader. Under one trust root it can be done
    once for each identity, and never so that fewer owners than their threshold are left. Within the three
    days the owners revoke the identity, or let it count again.

    \b
    Example:
      casstore suspend ci --reason "odd signatures at night" --key auditor.pem --confirm
    Exit status: 0 suspended (or told), 4 this identity may not or too few owners were left, 9 it was before.
    """
    from casstore import promotion

    report = promotion.suspend(
        session.open_store(),
        session.ledger(),
        who,
        reason=reason,
        signer=session.signer(key),
        now=session.now,
        confirm=confirm,
    )
    if as_json:
        render.json_object(report.to_json())
        return
    done = f"suspended, ledger entry {report.number}" if confirm else "would be suspended (give --confirm)"
    render.line(f"{who}: {done}, until {report.until:%Y-%m-%dT%H:%M:%SZ}")
    for affected in report.affected:
        render.say(f"affected: {affected}")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def policy(ctx: click.Context, as_json: bool) -> None:
    """Show the signed policy of each channel and where casstore.toml proposes another.

    \b
    Example:
      casstore policy
    Exit status: 0 the same, 4 casstore.toml differs (sign it with `casstore keys ceremony`).
    """
    if ctx.invoked_subcommand is None:
        _show_policy(ctx.find_object(Session) or ctx.fail("no session"), as_json)


@policy.command(name="test")
@click.argument("file")
@click.option("--signed", is_flag=True, help="Test the policy that the owners signed, not casstore.toml's.")
@json_option
@pass_session
def policy_test(session: Session, file: str, signed: bool, as_json: bool) -> None:
    """Decide every case of a table and compare with what it expects (casstore help policy-cases).

    \b
    Example:
      casstore policy test policy-cases.toml
    Exit status: 0 all as expected, 4 some are not, 2 or 3 the table cannot be read.
    """
    from attest.ceremony import policy_cases
    from attest.errors import BadInput
    from casstore.config.cases import read_table

    channels = session.trust_root().channels if signed else proposed_policies(session)
    if not channels:
        raise BadInput("no channel policy is proposed", hint="write [channels.NAME] in casstore.toml, or give --signed")
    table = policy_cases.parse(read_table(read_file(file), file))
    results = policy_cases.run(table, channels, now=session.now)
    failed = [result for result in results if not result.passed]
    if as_json:
        render.json_object({"cases": [result.to_json() for result in results], "failed": len(failed)})
    else:
        for result in results:
            render.line(f"{'ok  ' if result.passed else 'FAIL'}  {result.told}")
        render.line(f"{len(results)} cases, {len(failed)} not as expected")
    if failed:
        raise click.exceptions.Exit(4)


def _show_policy(session: Session, as_json: bool) -> None:
    proposed = proposed_policies(session)
    root = session.trust_root()
    differing = (
        []
        if proposed is None
        else sorted(n for n in {*proposed, *root.channels} if proposed.get(n) != root.channels.get(n))
    )
    result = {
        "trustRoot": {"version": root.version, "digest": root.digest},
        "channels": {name: p.to_json() for name, p in root.channels.items()},
        "differs": differing,
    }
    if as_json:
        render.json_object(result)
    else:
        render.line(f"trust root {root.version} {digests.short(root.digest)}")
        for name, p in root.channels.items():
            render.line(f"{name}: {wording.policy_line(p)}")
        for name in differing:
            render.warning(f"casstore.toml proposes another policy for {name}")
    if differing:
        raise click.exceptions.Exit(4)


def proposed_policies(session: Session):  # type: ignore[no-untyped-def]
    """The [channels] of casstore.toml as policies, or None where there is no file."""
    found = session.optional_config
    return found.channels if found and found.channels else None


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
    "suspend": suspend,
    "revoke": revoke,
    "policy": policy,
}
