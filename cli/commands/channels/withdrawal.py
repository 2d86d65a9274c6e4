"""revoke, suspend: what counts no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.commands.answers.whence import known_of_feed
from cli.commands.params import confirm_option, json_option, key_option, pass_session, without_secrets
from cli.drawing import render
from cli.session import Session, read_file, write_new

if TYPE_CHECKING:
    from casstore.promotion import RevocationReport, SuspensionReport


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

    An artifact is a release, an archive, a component's tree, or any file or folder inside one, also one
    packed in an archive or wheel there: every release that holds it counts no more, and nothing that
    holds it can be put, released or moved. Consumers refuse it in any tree.
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
    if not (reason and reason.strip()):
        raise click.UsageError("say why: --reason TEXT")
    if feed is not None and kind != "artifact":
        raise click.UsageError("a feed has digests of artifacts: leave --kind out")
    named = [(one, ahead) for one in what]
    if feed is not None:
        named += [(digest, True) for digest in known_of_feed(session, feed, ahead=ahead)]
    if out is not None and len(named) > 1:
        raise click.UsageError("one file has one revocation: name one at a time with --out")
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
        done = _done(report, out) if confirm else "would be revoked (give --confirm)"
        _told(report, f"{kind} {one}: {done}", as_json)


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
    done = _done(report, out) if confirm else "would be signed (give --confirm)"
    _told(report, f"{report.kind} {report.subject}: {done}", as_json)


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
    days the owners revoke the identity, or let it count again. Consumers hear it with the next publish of
    each channel; what was withdrawn by it comes back with a publish after it has ended.

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
    done = f"suspended, ledger entry {report.number}" if confirm else "would be suspended (give --confirm)"
    _told(report, f"{who}: {done}, until {report.until:%Y-%m-%dT%H:%M:%SZ}", as_json)


def _told(report: RevocationReport | SuspensionReport, line: str, as_json: bool) -> None:
    """What was done, and what leans on it."""
    if as_json:
        render.json_object(report.to_json())
        return
    render.line(line)
    for affected in report.affected:
        render.say(f"affected: {affected}")


COMMANDS = {"suspend": suspend, "revoke": revoke}
