"""rehearse."""

from __future__ import annotations

import click

from cli.commands.params import json_option, key_option, pass_session
from cli.drawing import render
from cli.session import Session


@click.command()
@click.argument("channel")
@click.option("--release", metavar="REF", help="The release to play with; default: the newest that may come there.")
@click.option("--replay", is_flag=True, help="Fold the ledger from its first entry: believe no fold of before.")
@key_option
@json_option
@pass_session
def rehearse(session: Session, channel: str, release: str | None, replay: bool, key: str | None, as_json: bool) -> None:
    """Play a promotion and a rollback of CHANNEL on a clone of the ledger, and sign how it went.

    Nothing of the real channel moves. On the clone only keys that are made for the rehearsal approve
    and promote. Every archive of the release that it comes back to is read and verified. The signed
    record is what the gate rollback-capability asks for; one that failed is recorded too.

    \b
    Example:
      casstore rehearse prod --key pam.pem
    Exit status: 0 it works, 4 the policy denies, 7 damaged, 8 nothing to rehearse with.
    """
    from casstore.promotion.rehearsing import rehearse as play

    made = play(
        session.open_store(),
        session.ledger(),
        channel,
        signer=session.signer(key),
        now=session.now,
        release=release,
        anew=replay,
    )
    if as_json:
        render.json_object(made.to_json())
    else:
        rows = [(step.name, render.seconds(step.milliseconds / 1000), step.outcome) for step in made.steps]
        render.table(("STEP", "TIME", "OUTCOME"), rows)
        render.say(f"rehearsal of {channel}: {made.result}, recorded as ledger entry {made.number}")
    if made.error is not None:
        raise made.error


COMMANDS = {"rehearse": rehearse}
