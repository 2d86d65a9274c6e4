"""baseline: capture, compare."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from cli.commands.params import Finite, json_option, key_option, once, pass_session, without_secrets
from cli.drawing import render
from cli.session import Session

if TYPE_CHECKING:
    from bundlers.measuring.measuring import Measured


@click.group()
def baseline() -> None:
    """Measure a release, sign the figures, compare them."""


@baseline.command()
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND...")
@click.option("--release", required=True, metavar="RELEASE", help="The release that is measured.")
@click.option("--product", required=True, metavar="NAME", help="The product of it.")
@click.option("--build", default="", metavar="NAME", help="Its build, where it has several.")
@click.option("--runs", type=click.IntRange(1, 1000), default=5, show_default=True, help="How often COMMAND is run.")
@click.option("--tool", "tools", multiple=True, metavar="PATH", help="A file or folder that COMMAND is shown.")
@click.option("--network", is_flag=True, help="COMMAND may use the network.")
@click.option("--timeout", type=Finite(0.1, 31_536_000), default=3600.0, help="Seconds for one run.")
@click.option("--as", "name", metavar="CHANNEL", help="Later releases are held against it, under this name.")
@click.option("--tolerance", "tolerances", multiple=True, metavar="FIGURE=xN|+N", help="How much larger it may become.")
@click.option("--comment", callback=without_secrets, default="", help="Kept in the ledger.")
@click.option("--dry-run", is_flag=True, help="Measure and tell; sign nothing.")
@key_option
@json_option
@pass_session
def capture(
    session: Session,
    command: tuple[str, ...],
    release: str,
    product: str,
    build: str,
    runs: int,
    tools: tuple[str, ...],
    network: bool,
    timeout: float,
    name: str | None,
    tolerances: tuple[str, ...],
    comment: str,
    dry_run: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Run COMMAND on a released product, unpacked anew each time, and sign the figures about its archive.

    COMMAND runs in the unpacked product and sees it, the system, the files that its words name (looked for
    from here) and each --tool. It may write one JSON object to its standard output: name -> number, or
    {"value": N, "unit": TEXT}. Its own time and peak memory are measured and added. Signed are the medians,
    their spread and facts of this machine; with --as they are what later releases may not exceed.

    \b
    Examples:
      casstore baseline capture --release 1.4.0 --product core --key auditor.pem -- ./bench.sh
      casstore baseline capture --release 1.4.0 --product core --as prod --tolerance startup=x1.1 -- bin/core selftest
    Exit status: 0 recorded, 2 a run failed or measured other things, 4 nobody asks this signer, 8 no such release.
    """
    from dataclasses import replace

    from bundlers.measuring import measuring

    if tolerances and not name:
        raise click.UsageError("--tolerance goes with --as CHANNEL")
    asked = measuring.Asked(release, product, command, build, runs, tools, network, timeout)
    state, signer = session.state(), None if dry_run else session.signer(key)
    if signer:
        measuring.require_signer(state, signer, reference=name is not None, now=session.now)
    done = measuring.measure(session.open_store(), state, asked, root=os.getcwd(), now=session.now)
    done = replace(done, said=replace(done.said, comment=comment))
    if name:
        limits = once((item.partition("=")[::2] for item in tolerances), "--tolerance")
        done = measuring.as_reference(done, name, limits)
    number = (
        measuring.record(session.open_store(), session.ledger(), done, signer=signer, now=session.now)
        if signer
        else None
    )
    if as_json:
        render.json_object({**done.to_json(), "entry": number})
        return
    _told(done)
    recorded = "nothing was signed" if number is None else f"ledger entry {number}"
    held = f", baseline {name}" if name else ""
    render.say(f"{done.archive}: the median of {runs} runs{held}, {recorded}")


def _told(done: Measured) -> None:
    rows = [(n, f"{f.median:g}", f"{f.least:g}", f"{f.most:g}", f.unit) for n, f in done.said.figures.items()]
    render.table(("FIGURE", "MEDIAN", "MIN", "MAX", "UNIT"), rows)
    how = done.said.measuring
    if how.sees == "unenforced" or how.network == "unenforced":
        render.warning("this system cannot hide files or network from COMMAND; the record says so")


@baseline.command()
@click.argument("release")
@click.option("--to", "channel", required=True, metavar="CHANNEL")
@json_option
@pass_session
def compare(session: Session, release: str, channel: str, as_json: bool) -> None:
    """Hold what was measured with RELEASE against the baseline of CHANNEL, as a promotion would.

    \b
    Example:
      casstore baseline compare 1.5.0 --to prod
    Exit status: 0 within the tolerances, 6 exceeded, or one of the two is missing, 8 no such release.
    """
    from bundlers.gates import channel_gates

    found = channel_gates.look(
        session.open_store(read_only=True),
        session.state(),
        session.optional_config,
        release,
        channel,
        ("baseline",),
        now=session.now,
        guard=session.network,
    )
    (outcome,) = found.outcomes
    for warning in outcome.result.warnings:
        render.warning(warning)
    if as_json:
        render.json_object(outcome.to_json())
    found.require()
    if not as_json:
        render.line(f"{len(outcome.result.measured)} figures of {release} are within the tolerances of {channel}")


COMMANDS = {"baseline": baseline}
