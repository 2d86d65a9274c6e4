"""vouch."""

from __future__ import annotations

import click

from cli.commands.params import json_option, key_option, pass_session, without_secrets
from cli.commands.releases.release import blockers_told, told, warn_of_config
from cli.drawing import render
from cli.session import Session


@click.command()
@click.argument("release")
@click.option("--as", "version", required=True, metavar="VERSION", help="The version under which it is released anew.")
@click.option("--reason", callback=without_secrets, required=True, help="Why these bytes are good; it is signed.")
@key_option
@json_option
@pass_session
def vouch(session: Session, release: str, version: str, reason: str, key: str | None, as_json: bool) -> None:
    """Release the very bytes of RELEASE again, under a builder who counts.

    For releases whose builder's key was revoked: who has looked at the bytes puts them anew with another key, and
    releases them as VERSION. Nothing is built; an archive that comes out the same keeps its digest. A channel then
    takes VERSION as any other release. Sources and rebuilds are not vouched for: a policy that asks for them
    refuses it.

    \b
    Example:
      casstore vouch 1.4.0 --as 1.4.1 --reason "compared with our mirror of May" --key ci-2.pem
    Exit status: 0 released, 4 the key is no builder, or the bytes themselves were revoked, 8 no such release,
    9 the version is taken, 10 a gate failed, 11 a product carries another's content.
    """
    from bundlers.building.vouching import vouch as run
    from bundlers.releases import ReleaseRequest
    from bundlers.releases import release as bundle
    from casstore.ledger.requests import rolled_back

    warn_of_config(session.config.path)
    signer, store, ledger = session.signer(key), session.open_store(), session.ledger()
    made = run(store, ledger, release, version=version, reason=reason, signer=signer, now=session.now)
    for channel, why in sorted(rolled_back(session.state(), made.of.digest).items()):
        render.warning(f"{made.of.version}, whose bytes these are, was rolled back in {channel}: {why}")
    with render.bar() as bar:
        request = ReleaseRequest(store, ledger, session.config, version, signer, session.now, progress=bar)
        with blockers_told(as_json):
            report = bundle(request)
    if as_json:
        render.json_object({"vouchedFor": made.of.version, "statement": made.statement, **report.to_json()})
        return
    told(report)
    render.say(f"{version} has the components of {made.of.version}: {reason}")


COMMANDS = {"vouch": vouch}
