"""publish."""

from __future__ import annotations

import click

from cli.commands.params import clock_option, json_option, key_option, pass_session
from cli.drawing import render
from cli.session import LEDGER_PASSPHRASE, Session


@click.command()
@click.argument("channel")
@click.option("--to", "destination", required=True, metavar="NAME", help="A destination of casstore.toml.")
@click.option(
    "--ledger-key", metavar="URI", help="Ed25519 key of the ledger role, signs the checkpoint; default: --key."
)
@click.option("--root-key", metavar="URI", help="Key of TUF's root; default: --key.")
@click.option("--previous-root-key", metavar="URI", help="Once, to change TUF's root key: the one before.")
@click.option(
    "--reset", is_flag=True, help="After a lost key: consumers forget the numbers that it may have counted up."
)
@clock_option
@key_option
@json_option
@pass_session
def publish(
    session: Session,
    channel: str,
    destination: str,
    ledger_key: str | None,
    root_key: str | None,
    previous_root_key: str | None,
    reset: bool,
    clock_checked: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Lay out what CHANNEL points to as a static TUF repository at a destination.

    Verifies everything once more, records the publication in the ledger, writes files and
    metadata, reads them back as consumers do, and moves the pointer (timestamp) last.
    Interrupted, the same command finishes it: the same bytes are skipped, other bytes are refused.

    Where what CHANNEL points to was revoked, that is published, at once: consumers refuse and are told
    why, its files are targets no more.

    TUF's keys are publishers of the trust root. When the owners replaced the one that held TUF's root
    (lost, or leaked), the next publication starts TUF anew, and every consumer follows.

    \b
    Example:
      casstore publish prod --to cdn --key publisher.pem --ledger-key ledger.pem
    Exit status: 0 published, 3 something does not verify, 9 other bytes are there,
    12 the destination stays away (published to its fallback where one is set).
    """
    from bundlers.consuming import readback
    from bundlers.publishing import publication
    from bundlers.publishing.destinations import settings_of

    session.check_clock(clock_checked, settings_of(session.config, destination).url)
    with render.bar() as bar:
        report = publication.publish(
            session.open_store(),
            session.ledger(),
            session.config,
            channel=channel,
            destination=destination,
            signer=session.signer(key),
            ledger_signer=session.signer(ledger_key, passphrase_in=LEDGER_PASSPHRASE) if ledger_key else None,
            root_signer=session.signer(root_key) if root_key else None,
            previous_root_signer=session.signer(previous_root_key) if previous_root_key else None,
            reset=reset,
            network=session.network,
            now=session.now,
            progress=bar,
            read_back=readback.check,
        )
    if as_json:
        render.json_object(report.to_json())
    else:
        done = "shows this already" if report.unchanged else f"{report.files} files, {render.size(report.bytes)}"
        what = f"{channel} {report.version}" + (" withdrawn" if report.withdrawn else "")
        render.line(f"{what} -> {report.url}, publication {report.number}: {done}")
        if report.withdrawn:
            render.warning(f"consumers are told that {report.version} may not be installed, and why; promote another")
        if report.fallback:
            render.warning(f"{destination} stays away ({report.fallback}); published to its fallback folder")
        for hook in report.hooks:
            render.warning(f"invalidation failed: {hook}")
    if report.exit_code:
        raise click.exceptions.Exit(report.exit_code)


COMMANDS = {"publish": publish}
