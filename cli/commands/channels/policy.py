"""policy: what the owners signed, what casstore.toml proposes, and cases that try either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from attest import digests
from cli.commands.params import json_option, pass_session
from cli.drawing import render, wording
from cli.session import Session, read_file

if TYPE_CHECKING:
    from attest.trust.policies import ChannelPolicy


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

    channels = session.trust_root().channels if signed else _proposed(session)
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
    proposed = _proposed(session)
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


COMMANDS = {"policy": policy}


def _proposed(session: Session) -> Mapping[str, ChannelPolicy] | None:
    """Those of a file that is right as a whole. Raises ConfigError."""
    found = session.optional_config
    return found.channels or None if found else None
