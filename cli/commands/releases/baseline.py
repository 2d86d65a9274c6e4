"""baseline: capture, sign, compare."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from cli.commands.params import Finite, json_option, key_option, once, pass_session, without_secrets
from cli.drawing import render
from cli.session import Session, read_file, write_new

if TYPE_CHECKING:
    from bundlers.gates.baselines import Metrics


@click.group()
def baseline() -> None:
    """Capture, sign and compare measured figures."""


@baseline.command()
@click.argument("command", nargs=-1, metavar="[-- COMMAND...]")
@click.option("--release-version", required=True, metavar="VERSION", help="The release that is measured.")
@click.option("--runs", type=click.IntRange(1, 1000), default=5, show_default=True, help="How often COMMAND is run.")
@click.option("--from", "files", multiple=True, metavar="FILE", help="A JSON file of figures instead, one a run.")
@click.option("--out", required=True, metavar="FILE", help="The metrics file to write.")
@click.option("--network", is_flag=True, help="COMMAND may use the network.")
@click.option("--timeout", type=Finite(0.1, 31_536_000), default=3600.0, help="Seconds for one run.")
@json_option
@pass_session
def capture(
    session: Session,
    command: tuple[str, ...],
    release_version: str,
    runs: int,
    files: tuple[str, ...],
    out: str,
    network: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Measure a release: run COMMAND some times, or read FILEs, and keep the medians.

    COMMAND writes one JSON object to its standard output: name -> number, or {"value": N, "unit": TEXT}.
    Its own time and peak memory are measured and added.

    \b
    Examples:
      casstore baseline capture --release-version 1.4.0 --out metrics.json -- ./bench.sh
      casstore baseline capture --release-version 1.4.0 --out metrics.json --from a.json --from b.json
    Exit status: 0 written, 2 a run failed or measured other things, 9 the file exists.
    """
    from bundlers.gates import baselines

    if bool(command) == bool(files):
        raise click.UsageError("give either -- COMMAND or --from FILE")
    if files:
        given = [(path, read_file(path)) for path in files]
        made = baselines.collect(given, version=release_version, now=session.now)
    else:
        made = baselines.capture(
            command,
            version=release_version,
            runs=runs,
            cwd=os.getcwd(),
            now=session.now,
            timeout=timeout,
            network=network,
        )
    write_new(out, made.to_bytes())
    _told(made, out, as_json)


def _told(made: Metrics, out: str, as_json: bool) -> None:
    if as_json:
        figures = {name: {"value": value, "unit": unit} for name, (value, unit) in made.values.items()}
        render.json_object({"metrics": out, "version": made.version, "runs": made.runs, "figures": figures})
        return
    render.table(("FIGURE", "MEDIAN", "UNIT"), [(name, f"{v:g}", unit) for name, (v, unit) in made.values.items()])
    render.say(f"{out}: {made.version}, the median of {made.runs} runs")


@baseline.command()
@click.argument("metrics")
@click.option("--name", required=True, metavar="NAME", help="What it is the baseline of: a channel.")
@click.option("--tolerance", "tolerances", multiple=True, metavar="FIGURE=xN|+N", help="How much larger it may become.")
@click.option("--comment", callback=without_secrets, default="", help="Kept in the baseline.")
@key_option
@json_option
@pass_session
def sign(
    session: Session,
    metrics: str,
    name: str,
    tolerances: tuple[str, ...],
    comment: str,
    key: str | None,
    as_json: bool,
) -> None:
    """Sign the figures of METRICS, with their tolerances, as the baseline NAME, and record it in the ledger.

    \b
    Example:
      casstore baseline sign metrics.json --name prod --tolerance startup=x1.1 --key auditor.pem
    Exit status: 0 recorded, 2 a figure without a tolerance, 4 the signer is no auditor.
    """
    from bundlers.gates import baselines, channel_gates

    asked = once((item.partition("=")[::2] for item in tolerances), "--tolerance")
    made = baselines.draft(baselines.parse(read_file(metrics)), name, asked, comment)
    number = channel_gates.record_baseline(
        session.open_store(),
        session.ledger(),
        made,
        (os.path.basename(metrics), read_file(metrics)),
        signer=session.signer(key),
        now=session.now,
    )
    if as_json:
        render.json_object({"baseline": made.to_json(), "entry": number})
        return
    rows = [(n, f"{f.value:g}", f"{f.limit:g}", f.unit) for n, f in made.figures.items()]
    render.table(("FIGURE", "BASELINE", "AT MOST", "UNIT"), rows)
    render.say(f"baseline {name} of {made.version}, ledger entry {number}")


@baseline.command()
@click.argument("metrics")
@click.option("--name", required=True, metavar="NAME", help="The baseline: a channel's name.")
@json_option
@pass_session
def compare(session: Session, metrics: str, name: str, as_json: bool) -> None:
    """Hold METRICS against the newest signed baseline NAME.

    \b
    Example:
      casstore baseline compare metrics.json --name prod
    Exit status: 0 within the tolerances, 6 exceeded, or there is no such baseline.
    """
    from bundlers.errors import BaselineFailed
    from bundlers.gates import baselines
    from bundlers.gates.builtin.baseline import held, newest
    from bundlers.gates.channel_gates import RecordedEvidence

    evidence = RecordedEvidence(session.open_store(read_only=True), session.state(), None)
    against = newest(evidence.of_type, name, session.now)
    if against is None:
        raise BaselineFailed(
            f"the ledger has no baseline {name} signed by an auditor",
            hint=f"casstore baseline sign METRICS --name {name} --key AUDITOR",
        )
    result = held(against, baselines.parse(read_file(metrics)), metrics)
    if as_json:
        render.json_object({"passed": result.passed, "problems": list(result.messages), "baseline": against.to_json()})
    for warning in result.warnings:
        render.warning(warning)
    if not result.passed:
        raise BaselineFailed("; ".join(result.messages), hint=result.suggested_fix)
    if not as_json:
        render.line(f"{len(against.figures)} figures are within the tolerances of baseline {name} ({against.version})")


COMMANDS = {"baseline": baseline}
