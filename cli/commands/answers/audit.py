"""audit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from cli.commands.params import json_option, pass_session
from cli.drawing import render
from cli.session import Session, read_file, write_new


@click.command()
@click.argument("ref", metavar="RELEASE|CHANNEL")
@click.option("--to", metavar="CHANNEL", help="For a release: the channel that it is to go to.")
@click.option("--report", metavar="FILE", help="Also write the report here: .json, .md or .html.")
@click.option("--blockers", multiple=True, metavar="FILE", help="A file of blockers, whose open records count.")
@click.option("--replay", is_flag=True, help="Fold the ledger from its first entry: believe no fold of before.")
@json_option
@pass_session
def audit(
    session: Session,
    ref: str,
    to: str | None,
    report: str | None,
    blockers: tuple[str, ...],
    replay: bool,
    as_json: bool,
) -> None:
    """Verify all there is about a channel or a release anew, and say what stands in the way.

    For a channel: what is in it, why, who allowed it, and whether that still holds. For a release:
    whether it may go on to its next channel. Its statements and every archive byte by byte are read
    again, and the move is decided again. What the ledger adds up to is what this user's own commands
    folded on this machine (nobody else's); with --replay, or where they folded nothing yet, the whole
    chain is read and every entry judged again.

    \b
    Examples:
      casstore audit prod --report prod.html
      casstore audit prod --replay
      casstore audit 1.4.0 --to prod --report audit.json
    Exit status: 0 green, 2 warnings only, 3 verification failed, 4 the policy denies,
    5 branch protection, 6 baseline, 7 damaged, 10 a gate failed, 11 a leak.
    """
    import json
    import os
    from importlib import metadata

    from bundlers import audit as audits
    from bundlers.audit.page import page

    made = audits.audit(
        session.open_store(read_only=True),
        session.ledger(read_only=True),
        ref,
        now=session.now,
        to=to,
        blockers=[(path, read_file(path)) for path in blockers],
        anew=replay,
        tool=metadata.version("casstore"),
        look=looks(session),
    )
    value = made.to_json()
    if report:
        kind = os.path.splitext(report)[1].removeprefix(".").lower()
        data = json.dumps(value, indent=2).encode() + b"\n" if kind == "json" else page(value, kind)
        write_new(report, data)
    if as_json:
        render.json_object(value)
    else:
        _told(value)
    if made.exit_code:
        raise click.exceptions.Exit(made.exit_code)


def looks(session: Session) -> Callable[[str, str], tuple[str, bool] | None]:
    """What consumers are told at a destination of casstore.toml now, and whether it is as it should be."""
    from bundlers.consuming import looking
    from bundlers.publishing.layout.destinations import settings_of

    state = session.state()

    def at(name: str, channel: str) -> tuple[str, bool] | None:
        if name not in session.config.destinations:
            return None
        url = settings_of(session.config, name).url
        first = state.trust_roots[0].digest
        seen = looking.look(name, url, channel, first=first, at=session.now, network=session.network)
        holds = seen.version in (None, state.channel(channel).version)
        return seen.told, not seen.exit_code and holds and not seen.ends_soon(session.now)

    return at


def _told(value: dict[str, Any]) -> None:
    subject = value["subject"]
    for row in value["gates"]:
        settings = "not told" if row["settings"] is None else json.dumps(row["settings"], ensure_ascii=False)
        render.line(f"gate {row['gate']}: {row['result']}, settings {settings}")
    render.table(("STATUS", "CHECK", "FOUND"), [(c["status"], c["id"], c["message"]) for c in value["checks"]])
    what = (
        f"channel {subject['channel']}: {subject['version']}" if value["auditType"] == "channel" else _release(subject)
    )
    render.say(f"{what}: {value['verdict']}, {len(value['blockers'])} blockers")
    for check in value["checks"]:
        if check["status"] == "blocker" and check["hint"]:
            render.say(f"hint: {check['id']}: {check['hint']}")


def _release(subject: dict[str, Any]) -> str:
    """A release and where it is to go."""
    return f"release {subject['version']}" + (f" to {subject['channel']}" if subject["channel"] else "")


COMMANDS = {"audit": audit}
