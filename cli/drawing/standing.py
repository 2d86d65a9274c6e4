"""How channels, their histories and differences, and what waits are told to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.drawing import diffs, render, wording

if TYPE_CHECKING:
    from bundlers.releases.channel_diffs import ChannelDiff
    from casstore.promotion import ChannelsReport, StandingReport, StatusReport, Wait
    from casstore.promotion.reports import ChannelRow

_SHOWN = 200
"""Lines of files that a person reads; --json has all."""


def told_channels(report: ChannelsReport) -> None:
    """On stdout: heads of channels."""
    render.table(
        ("CHANNEL", "RELEASE", "BY ACTION", "ENTRY", "SINCE", "PINNED", "BY", "ALLOWED BY"),
        [
            (
                c.channel,
                _version(c) + ("" if c.canary is None else f" ({c.canary.share}%: {_version(c.canary)})"),
                c.action or "-",
                c.number if c.number is not None else "-",
                c.since or "-",
                "yes" if c.pinned else "no",
                c.promoter or "-",
                ", ".join(c.approvers) or "-",
            )
            for c in report.rows
        ],
    )


def told_log(report: ChannelsReport) -> None:
    """On stdout: the moves of one channel."""
    render.table(
        ("ENTRY", "TIME", "ACTION", "RELEASE", "BY", "ALLOWED BY", "REASON"),
        [
            (c.number, c.since, _action(c), _version(c), c.promoter, ", ".join(c.approvers) or "-", c.reason or "-")
            for c in report.rows
        ],
    )


def _action(row: ChannelRow) -> str:
    return row.action if row.share is None else f"{row.action} {row.share}%"


def _version(row: ChannelRow) -> str:
    return (row.version or "-") + (" (revoked)" if row.revoked else "")


def told_standing(report: StandingReport) -> None:
    """On stdout: one channel at one time."""
    row = report.row
    at = f", at {report.at}" if report.at else ""
    if row.release is None:
        render.line(f"{row.channel}{at}: names no release" + (" yet" if not report.until else ""))
    else:
        pinned = ", pinned" if row.pinned else ""
        render.line(f"{row.channel}{at}: {_version(row)}{pinned}")
        _told_row(row)
    if report.until:
        render.line(f"  until {report.until} (ledger entry {report.next_move})")
    for name, digest in sorted(report.archives.items()):
        render.line(f"  archive {name} {digest}")
    for evidence in report.evidence:
        render.line(f"  evidence {evidence.told}")
    if row.canary is not None:
        render.line(f"{row.channel}{at}, {row.canary.share}% of its consumers: {_version(row.canary)}")
        _told_row(row.canary)
    for name, digest in sorted(report.canary_archives.items()):
        render.line(f"  archive {name} {digest}")
    for evidence in report.canary_evidence:
        render.line(f"  evidence {evidence.told}")
    if report.trust_root is not None:
        render.line(f"  by trust root version {report.trust_root}: {_policy(report.policy)}")


def _told_row(row: ChannelRow) -> None:
    render.line(f"  release {row.release}")
    by = f"by {row.promoter}" + (f", allowed by {', '.join(row.approvers)}" if row.approvers else "")
    render.line(f"  {_action(row)} at {row.since}, ledger entry {row.number}, {by}")
    if row.reason:
        render.line(f"  reason: {row.reason}")


def _policy(policy: Any) -> str:
    return "; ".join(f"{key} {value}" for key, value in policy.items() if value not in (None, [], 0)) or "no policy"


def told_diff(found: ChannelDiff) -> None:
    """On stdout: what differs between two channels."""
    render.line(f"{found.old.told} -> {found.new.told}")
    diffs.say_rows(found.rows[:_SHOWN])
    if len(found.rows) > _SHOWN:
        render.say(f"... and {len(found.rows) - _SHOWN} more (--json has all)")
    for sign, row in found.evidence:
        render.line(f"evidence {sign} {row}")
    for key, before, after in found.policy:
        render.line(f"policy {key}: {before} -> {after}")
    render.say(found.told)


def told_status(report: StatusReport) -> None:
    """On stdout: what waits, by channel, each with who can act and the command."""
    for wait in report.waits:
        _told_wait(wait)
    if not report.waits:
        render.line("nothing waits")


def _told_wait(wait: Wait) -> None:
    who = ", ".join(wait.who) or "nobody"
    if wait.kind == "publish":
        render.line(f"{wait.channel} -> {wait.destination}: {wait.version} is not published, since {wait.since}")
    elif wait.kind == "tell":
        render.line(f"{wait.channel} -> {wait.destination}: consumers do not know who counts since {wait.since}")
    elif wait.kind == "withdrawn":
        render.line(f"{wait.channel}: {wait.version} was revoked, since {wait.since}")
    elif wait.needs:
        render.line(
            f"{wait.channel}: {wait.version}{_share(wait)} waits, since {wait.since} (now {wait.holds or 'empty'})"
        )
        for rule in wait.needs:
            render.line(f"  missing {rule.id}: {rule.message}")
            render.line(f"    who: {', '.join(rule.who) or 'nobody named'}")
            if command := wording.command_for(rule, release=wait.version, channel=wait.channel):
                render.line(f"    run: {command}")
        return
    else:
        render.line(
            f"{wait.channel}: {wait.version}{_share(wait)} may move, since {wait.since} (now {wait.holds or 'empty'})"
        )
    render.line(f"    who: {who}")
    render.line(f"    run: {_command(wait)}")


def _command(wait: Wait) -> str:
    if wait.kind in ("publish", "tell"):
        return f"casstore publish {wait.channel} --to {wait.destination} --key URI"
    if wait.kind == "withdrawn":
        return f"casstore rollback {wait.channel} --reason TEXT --key URI"
    share = "" if wait.share is None else f" --share {wait.share}%"
    return f"casstore promote {wait.version} --to {wait.channel}{share} --key URI"


def _share(wait: Wait) -> str:
    return "" if wait.share is None else f" for {wait.share}%"
