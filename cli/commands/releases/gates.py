"""gate: list, explain, run, ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.commands.params import json_option, key_option, pass_session
from cli.commands.releases import asking
from cli.drawing import render
from cli.session import Session, read_file

if TYPE_CHECKING:
    from bundlers.gates import GateResult

_FAILED = 10


@click.group()
def gate() -> None:
    """List, explain and run gates."""


@gate.command(name="list")
@json_option
@pass_session
def list_gates(session: Session, as_json: bool) -> None:
    """Every known gate, and whether casstore.toml lists it.

    \b
    Example:
      casstore gate list
    """
    from bundlers import gates

    config = session.optional_config
    listed = config.gates if config else {}
    rows = [
        (name, str(g.PHASE), "yes" if name in listed else "no", g.SUMMARY) for name, g in sorted(gates.known().items())
    ]
    rows += [(name, "inputs", "yes", "a command of your own") for name in sorted(listed) if "command" in listed[name]]
    if as_json:
        render.json_object({"gates": [dict(zip(("name", "phase", "listed", "summary"), r, strict=True)) for r in rows]})
    else:
        render.table(("GATE", "PHASE", "LISTED", "WHAT"), rows)


@gate.command(name="explain")
@click.argument("name")
@json_option
def explain_gate(name: str, as_json: bool) -> None:
    """What a gate checks, its phase and settings.

    \b
    Example:
      casstore gate explain budget
    Exit status: 0 told, 2 no such gate.
    """
    from bundlers import gates

    info = gates.describe(name)
    if as_json:
        render.json_object(info.to_json())
        return
    render.lines(f"{info.help or info.summary}\n\nphase: {info.phase}\norigin: {info.origin}")
    for key, told in info.settings.items():
        render.line(f"setting {key}: {told}")


@gate.command(name="run")
@click.argument("name")
@click.argument("folder", required=False)
@click.option("--release-version", metavar="VERSION", help="Run it on what was put for this version.")
@click.option("--manifest", metavar="FILE", help="With seal and a folder: the ProductManifest.")
@json_option
@pass_session
def run_gate(
    session: Session,
    name: str,
    folder: str | None,
    release_version: str | None,
    manifest: str | None,
    as_json: bool,
) -> None:
    """Try one gate: on a version that was put, or on a folder.

    With --release-version any gate of casstore.toml runs as `casstore release` would run it; nothing
    is signed and nothing becomes visible. On a FOLDER: seal against a ProductManifest, or secrets over
    any files, logs and reports too.

    \b
    Examples:
      casstore gate run budget --release-version 1.4.0
      casstore gate run seal --manifest core.product-manifest.json ./core
      casstore gate run secrets ./reports
    Exit status: 0 passed, 2 no such gate or folder, 8 nothing was put, 10 failed.
    """
    if bool(folder) == bool(release_version):
        raise click.UsageError("give a FOLDER or --release-version VERSION")
    result, code = _on_folder(name, folder, manifest) if folder else _on_version(session, name, release_version or "")
    if as_json:
        render.json_object(
            {
                "gate": name,
                "passed": result.passed,
                "messages": list(result.messages),
                "warnings": list(result.warnings),
                "files": list(result.files),
                "suggestedFix": result.suggested_fix,
            }
        )
    else:
        for message in result.messages:
            render.line(message)
        render.line(f"gate {name} passed" if result.passed else f"gate {name} failed: {len(result.messages)} found")
    for warning in result.warnings:
        render.warning(warning)
    if not result.passed:
        if result.suggested_fix:
            render.say(f"hint: {result.suggested_fix}")
        raise click.exceptions.Exit(code)


def _on_folder(name: str, folder: str, manifest: str | None) -> tuple[GateResult, int]:
    from bundlers.gates.builtin import seal, secrets
    from bundlers.products import product_manifests

    if name not in ("seal", "secrets"):
        raise click.UsageError("only seal and secrets run on a folder; others need --release-version")
    if (name == "seal") != bool(manifest):
        raise click.UsageError("on a folder seal needs --manifest FILE, and only seal does")
    if manifest:
        return seal.compare_folder(product_manifests.parse(read_file(manifest)), folder), _FAILED
    return secrets.scan_folder(folder), _FAILED


def _on_version(session: Session, name: str, version: str) -> tuple[GateResult, int]:
    from bundlers.releases.trial import try_gate

    store = session.open_store(read_only=True)
    ledger = session.ledger(read_only=True)
    outcome = try_gate(store, ledger, session.config, version, name, now=session.now)
    return outcome.result, outcome.exit_code


@gate.command(name="ask")
@click.argument("release")
@click.option("--to", "channel", required=True, metavar="CHANNEL")
@key_option
@json_option
@pass_session
def ask_gates(session: Session, release: str, channel: str, key: str | None, as_json: bool) -> None:
    """Ask the gates that the policy of CHANNEL wants asked at promotion, and hand in what passed.

    A result counts for this channel until its next move, and for a day (the policy's maxAge may say
    otherwise). `casstore promote` does the same; this is for an auditor or CI job who answers for it.

    \b
    Example:
      casstore gate ask 1.4.0 --to prod --key auditor.pem
    Exit status: 0 all passed or nothing to ask, 4 the signer may not, 5 branch protection,
    6 baseline, 10 another gate failed.
    """
    names = asking.missing(session, release, channel)
    if not names:
        render.say(f"{channel} wants no gate asked for {release} now")
        if as_json:
            render.json_object({"gates": [], "entries": []})
        return
    asked = asking.ask(session, release, channel, names, key)
    if as_json:
        render.json_object(asked.to_json())
    asked.require()


COMMANDS = {"gate": gate}
