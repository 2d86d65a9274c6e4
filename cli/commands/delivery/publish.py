"""publish."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from cli.commands.params import Finite, clock_option, json_option, key_option, pass_session
from cli.drawing import render
from cli.session import LEDGER_PASSPHRASE, Session

if TYPE_CHECKING:
    from bundlers.publishing.asking import Asking
    from bundlers.publishing.reports import PublishReport


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
@click.option(
    "--wait", type=Finite(0, 86400), default=0, metavar="SECONDS", help="Wait so long for the witnesses' lines."
)
@click.option("--check", is_flag=True, help="Publish nothing: look at it as a consumer does; needs no key.")
@click.option("--verify", is_flag=True, help="As --check, and read every file that is published there.")
@click.option("--repair", is_flag=True, help="Read every file that is there; put back what is lost or damaged.")
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
    wait: float,
    check: bool,
    verify: bool,
    repair: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Lay out what CHANNEL points to as a static TUF repository at a destination.

    Verifies everything once more, records the publication in the ledger, writes files and
    metadata, reads them back as consumers do, and moves the pointer (timestamp) last.
    Interrupted, the same command finishes it: the same bytes are skipped, other bytes are refused.

    Where the trust root names witnesses, the pointer waits for their lines. They are looked for at the
    destination and at the places of [witnesses] in casstore.toml. Without them all is written and staged:
    consumers are shown the publication before, and the same command finishes it. One that has
    `protocol = "c2sp"` there is posted the checkpoint, and its line is put at the destination.

    Where what CHANNEL points to was revoked, that is published, at once: consumers refuse and are told
    why, its files are targets no more.

    TUF's keys are publishers of the trust root. When the owners replaced the one that held TUF's root
    (lost, or leaked), the next publication starts TUF anew, and every consumer follows.

    \b
    Example:
      casstore publish prod --to cdn --key publisher.pem --ledger-key ledger.pem
      casstore publish prod --to cdn --key publisher.pem --wait 900
      casstore publish prod --to cdn --check
    Exit status: 0 published, or well; 1 it shows something else than the channel holds, 2 its time is
    nearly over, 3 something does not verify, or a witness signed another history, 4 staged: witnesses are
    missing, 7 files are lost or damaged, 9 other bytes are there, 12 the destination stays away (published
    to its fallback where one is set).
    """
    from bundlers.consuming import readback, witness_lines
    from bundlers.publishing import publication
    from bundlers.publishing.cosigned import CosignatureLines

    if check or verify:
        _look(session, channel, destination, every_file=verify, as_json=as_json)
        return
    if repair:
        _mend(session, destination)
    from bundlers.publishing.layout.destinations import settings_of

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
            repair=repair,
            lines=CosignatureLines(
                witness_lines.read_from(session.config.witness_places, network=session.network), wait
            ),
            asking=_asking(session),
        )
    session.tell_void()
    if as_json:
        render.json_object(report.to_json())
    else:
        _told(report, destination)
    if report.exit_code:
        raise click.exceptions.Exit(report.exit_code)


def _asking(session: Session) -> Asking:
    """The witnesses that casstore.toml says are posted to."""
    from bundlers.publishing.asking import Asking

    posted = session.config.posted_witnesses
    if not posted:
        return Asking()
    from bundlers.witnessing.c2sp import C2spWitness

    return Asking({name: C2spWitness(url, session.network, session.now) for name, url in posted.items()})


def _told(report: PublishReport, destination: str) -> None:
    done = f"{report.files} files, {render.size(report.bytes)}"
    if report.unchanged and not report.files:
        done = "shows this already"
    what = f"{report.channel} {report.version}" + (" withdrawn" if report.withdrawn else "")
    if (canary := report.canary) is not None:
        what += f" ({canary.version} for {canary.share}%" + (", withdrawn)" if canary.withdrawn else ")")
    render.line(f"{what} -> {report.url}, publication {report.number}: {done}")
    for why in report.witnesses.values():
        render.warning(why)
    if report.staged:
        render.warning(f"staged, consumers take nothing of it yet: {report.staged}; run it again, or --wait")
    if report.withdrawn:
        render.warning(f"consumers are told that {report.version} may not be installed, and why; promote another")
    if report.fallback:
        render.warning(f"{destination} stays away ({report.fallback}); published to its fallback folder")
    for hook in report.hooks:
        render.warning(f"invalidation failed: {hook}")


def _files(session: Session, name: str, *, mend: bool) -> dict[str, str]:
    """Every file at a destination against the store; what is lost or damaged there, path to reason."""
    from bundlers.publishing import published_check
    from bundlers.publishing.layout.destinations import settings_of
    from casstore.storage import open_storage

    url = settings_of(session.config, name).url
    storage = open_storage(url, network=session.network, create=mend)
    store, ledger = session.open_store(read_only=not mend), session.ledger(read_only=not mend)
    report = published_check.check(storage, store, ledger, name)
    if mend:
        published_check.mend(storage, store, report)
        for path in report.mended:
            render.say(f"put back: {path}")
    return report.damaged


def _mend(session: Session, name: str) -> None:
    """Files from the store; what is left (metadata) is made anew by the publication that follows."""
    from casstore.errors import NoSuchObject

    with contextlib.suppress(NoSuchObject):  # nothing was published there yet
        _files(session, name, mend=True)


def _look(session: Session, channel: str, name: str, *, every_file: bool, as_json: bool) -> None:
    """What a consumer is told there now; the exit code says whether somebody has to act."""
    from bundlers.consuming import looking
    from bundlers.publishing.layout.destinations import settings_of

    state = session.state()
    settings = settings_of(session.config, name)
    seen = looking.look(
        name,
        settings.url,
        channel,
        first=state.trust_roots[0].digest,
        at=session.now,
        network=session.network,
        archives=every_file,
    )
    holds = state.channel(channel).version
    damaged = _files(session, name, mend=False) if every_file else {}
    if as_json:
        render.json_object({**seen.to_json(), "damaged": damaged})
    else:
        render.line(f"{name}, {channel}: {seen.told}")
    code = seen.exit_code or (7 if damaged else 0)
    if not code and seen.version is not None and seen.version != holds:
        render.warning(f"{channel} holds {holds}: casstore publish {channel} --to {name}")
        code = 1
    elif not code and seen.ends_soon(session.now):
        render.warning(f"its time is nearly over: casstore publish {channel} --to {name}")
        code = 2
    for path, what in list(damaged.items())[:10]:
        render.warning(f"{path}: {what}")
    if damaged:
        render.warning(f"put them back: casstore publish {channel} --to {name} --repair")
    if code:
        raise click.exceptions.Exit(code)


COMMANDS = {"publish": publish}
