"""verify, install, uninstall: for whoever receives a release."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from cli.commands.params import (
    confirm_option,
    json_option,
    pass_session,
    trust_options,
    trust_settings,
)
from cli.drawing import render
from cli.session import Session, read_file

if TYPE_CHECKING:
    from bundlers.consuming.service import VerifyReport
    from bundlers.consuming.verified import VerifiedChannel
    from bundlers.installing.install import InstallReport


@click.command()
@click.argument("source")
@click.option("--channel", metavar="NAME", help="Which channel; a kit with one channel needs none.")
@click.option("--product", metavar="NAME", help="Only this product's archive.")
@click.option("--archive", metavar="FILE", help="A file at hand that must be one of the release's archives.")
@click.option(
    "--trust-root-file", metavar="FILE", help="For a release's folder: the signed trust root, instead of the store's."
)
@click.option("--replay", is_flag=True, help="Fold the whole ledger anew: nothing that was sealed is believed.")
@trust_options
@json_option
@pass_session
def verify(
    session: Session,
    source: str,
    channel: str | None,
    product: str | None,
    archive: str | None,
    replay: bool,
    trust_root: str | None,
    tuf_root: str | None,
    sigstore_root: str | None,
    state: str | None,
    trust_root_file: str | None,
    as_json: bool,
) -> None:
    """Verify SOURCE: a published URL or folder, a kit file, or the folder that `release --out` left.

    Trust root chain, ledger proof, the promotion decided again from its own evidence, and the
    archives' bytes. Being out of date is a verdict of its own ("stale", as of a time), no error.

    Of a release's folder every file is held against the signed release; it knows no channel, approval
    or revocation. Its trust root is the store's, or --trust-root-file (`keys ceremony finish --out`).

    \b
    Examples:
      casstore --offline verify kit.tar
      casstore verify dist/1.4.0 --trust-root-file root.signed
      casstore verify https://releases.example --channel prod --replay
    Exit status: 0 valid or stale (told), 3 it does not verify, 8 no such channel or product, 12 unreachable.
    """
    from bundlers.consuming import release_folder, service

    if release_folder.is_release_folder(source):
        _verify_folder(session, source, trust_root_file, trust_root, sigstore_root, as_json)
        return
    report = service.verify(
        source,
        channel,
        trust=trust_settings(trust_root, tuf_root, sigstore_root, state),
        at=session.now,
        network=session.network,
        offline=session.offline,
        product=product,
        archive=archive,
        replay=replay,
    )
    if as_json:
        render.json_object(report.to_json())
    else:
        _told_verified(report)


def _told_verified(report: VerifyReport) -> None:
    found = report.verified.channel
    render.line(f"{report.verdict}: {found.channel} {found.version}, as of {report.as_of:%Y-%m-%d %H:%M:%SZ}")
    _told_face(report, found)
    if found.canary is not None:
        render.line(f"{found.canary.share}% of its consumers get {found.canary.channel.version}")
        _told_face(report, found.canary.channel)
    if found.canary_withdrawn:
        render.say(f"what a share of it had was withdrawn, all get {found.version}: {found.canary_withdrawn}")
    if found.cosigned_by:
        render.line(f"ledger of {found.checkpoint_size} entries, witnessed by {', '.join(found.cosigned_by)}")
    if report.replayed:
        told = f"{report.replayed.entries} entries add up to what was sealed, {report.replayed.void} of them are void"
        render.line(f"replayed: {told}")
    if found.first_use:
        render.say(f"first use: trust root pinned, {found.trust_root.digest}")


def _told_face(report: VerifyReport, found: VerifiedChannel) -> None:
    """One release of a channel."""
    render.line(f"release {found.release_digest}, ledger entry {found.move.number} ({found.action})")
    approvers = ", ".join(found.approved_by) or "nobody (none needed)"
    render.line(f"promoted by {', '.join(found.promoted_by)}; approved by {approvers}")
    render.line(f"{len(found.evidence)} attestations hold under trust root version {found.trust_root.version}")
    for key, build in found.builds.items():
        read = ": every byte holds" if build.archive.name in report.archives else ""
        platform = f" for {build.manifest.platform.told}" if build.manifest.platform else ""
        render.line(f"{key}{platform}: archive {build.archive.name}{read}")


def _verify_folder(
    session: Session, folder: str, file: str | None, wanted: str | None, sigstore: str | None, as_json: bool
) -> None:
    from attest.errors import TrustError
    from attest.trust import trust_roots
    from bundlers.consuming import release_folder

    root = trust_roots.parse_payload(trust_roots.payload_of(read_file(file))) if file else session.trust_root()
    if wanted and root.digest != wanted:
        raise TrustError(f"trust root {root.version} is {root.digest}, not {wanted} that was given")
    given = read_file(sigstore) if sigstore else None
    report = release_folder.verify_folder(folder, trust_root=root, at=session.now, sigstore_root=given)
    if as_json:
        render.json_object(report.to_json())
        return
    render.line(f"valid: {report.version}, release {report.release}")
    render.line(f"signed by {', '.join(report.signed_by)}, trust root version {root.version} {root.digest}")
    for name in report.archives:
        render.line(f"archive {name}: every byte holds")
    render.say("a folder knows no channel, approval or revocation: those are in what was published")


@click.command()
@click.argument("product", required=False)
@click.option("--from", "source", metavar="URL", help="A published URL or folder, or a kit file.")
@click.option("--channel", metavar="NAME")
@click.option("--into", required=True, metavar="FOLDER", help="Where the product lives; `current` points to its files.")
@click.option(
    "--platform", metavar="NAME", help="Another build than that for this machine: its name, or linux-x86_64-musl."
)
@click.option("--link-bin", metavar="FOLDER", help="Link the product's programs here, through `current`.")
@click.option("--keep", type=click.IntRange(1), metavar="N", help="How many versions stay, the one in force counted.")
@click.option(
    "--share",
    type=click.Choice(["drawn", "never", "always"]),
    default="drawn",
    show_default=True,
    help="Whether a release comes here that a share of the channel gets first.",
)
@click.option("--dry-run", is_flag=True, help="Verify, and say what would be done; nothing changes.")
@click.option("--list", "listed", is_flag=True, help="Show the versions that lie in FOLDER.")
@click.option("--rollback", is_flag=True, help="Switch back to the version before, if it still counts.")
@click.option("--verify-installed", is_flag=True, help="Check the files in force, and whether they may still be used.")
@trust_options
@json_option
@pass_session
def install(
    session: Session,
    product: str | None,
    source: str | None,
    channel: str | None,
    into: str,
    platform: str | None,
    link_bin: str | None,
    keep: int | None,
    share: str,
    dry_run: bool,
    listed: bool,
    rollback: bool,
    verify_installed: bool,
    trust_root: str | None,
    tuf_root: str | None,
    sigstore_root: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Verify PRODUCT, then install it by one switch of FOLDER/current; the version before stays.

    Of several builds the one for this machine is taken; --platform takes another. --rollback asks where the
    product came from, and goes back to no version that was withdrawn. While a share of the channel gets another
    release, this machine's install id and the move say which of the two comes here; --share says it yourself.

    \b
    Examples:
      casstore install core --from https://releases.example --channel prod --into /opt/core
      casstore install acme --from URL --channel prod --into ~/acme --link-bin ~/.local/bin
      casstore install --rollback --into /opt/core
      casstore install --verify-installed --into /opt/core
    Exit status: 0 installed or in force already, 3 it does not verify, or was withdrawn (nothing changed),
    8 no such product or no build for this machine, 9 a name in FOLDER is taken, 12 unreachable.
    """
    from bundlers.installing import install as installing

    if listed:
        _list(into, as_json)
        return
    if rollback:
        trust = trust_settings(trust_root, tuf_root, sigstore_root, state)
        report = installing.install_rollback(
            into, trust=trust, at=session.now, network=session.network, offline=session.offline
        )
    elif verify_installed:
        trust = trust_settings(trust_root, tuf_root, sigstore_root, state)
        report = installing.verify_installed(
            into, trust=trust, at=session.now, network=session.network, offline=session.offline
        )
    elif not product or not source:
        raise click.UsageError("give PRODUCT and --from URL, or --rollback, --list or --verify-installed")
    else:
        with render.bar() as bar:
            report = installing.install(
                source,
                product,
                channel=channel,
                into=into,
                trust=trust_settings(trust_root, tuf_root, sigstore_root, state),
                at=session.now,
                network=session.network,
                offline=session.offline,
                progress=bar,
                platform=platform,
                link_bin=link_bin,
                keep=keep,
                dry_run=dry_run,
                share=share,
            )
    if as_json:
        render.json_object(report.to_json())
    else:
        _told_installed(report)


def _told_installed(report: InstallReport) -> None:
    done = "in force" if report.changed else "in force already"
    if report.dry_run and report.changed:
        done = f"would be in force ({render.size(report.fetched)} to fetch)"
    receipt = report.receipt
    build = "" if receipt.build == "default" else f" ({receipt.build})"
    render.line(f"{receipt.product} {receipt.version}{build} {done}: {report.path}")
    if others := [told for name, told in report.builds.items() if name != receipt.build]:
        render.say(f"other builds: {', '.join(others)} (--platform takes one)")
    if report.share:
        render.say(report.share)
    for name in report.kept:
        render.say(f"kept as you have it: {name}")
    for name in report.pruned:
        render.say(f"{'would be taken away' if report.dry_run else 'taken away'}: {name}")
    for path in report.links:
        render.line(f"linked: {path}")
    if report.unasked:
        render.say(f"what was heard before counts, nobody could be asked whether it may be used: {report.unasked}")
    if report.added:
        render.say(f"{len(report.added)} files lie there beside those of the archive: {', '.join(report.added[:3])}")


def _list(into: str, as_json: bool) -> None:
    from bundlers.installing import keeping
    from bundlers.installing.installed import InstalledFolder

    rows = keeping.versions(InstalledFolder(into))
    if as_json:
        render.json_object({"folder": os.path.abspath(into), "versions": [row.to_json() for row in rows]})
        return
    render.table(
        ("VERSION", "STATE", "PRODUCT", "CHANNEL", "INSTALLED", "SIZE", "NAME"),
        [
            (r.version, r.state, r.product, r.channel, f"{r.installed_at:%Y-%m-%d %H:%M}", render.size(r.size), r.name)
            for r in rows
        ],
    )


@click.command()
@click.option("--into", required=True, metavar="FOLDER", help="Where the product lives.")
@click.option("--link-bin", "link_bins", multiple=True, metavar="FOLDER", help="Also the links of its programs here.")
@confirm_option
@json_option
@pass_session
def uninstall(_: Session, into: str, link_bins: tuple[str, ...], confirm: bool, as_json: bool) -> None:
    """Take an installed product away: every version, its receipts, the links of its programs.

    What lies in FOLDER and came from no install stays, and so does what is remembered of the publisher. Without
    --confirm it only says what it would do.

    \b
    Example:
      casstore uninstall --into /opt/core --link-bin /usr/local/bin --confirm
    Exit status: 0 taken away (or told), 8 nothing is installed there, 9 an install is running there.
    """
    from bundlers.installing import keeping
    from bundlers.installing.installed import InstalledFolder

    report = keeping.uninstall(InstalledFolder(into), link_bins=link_bins, confirm=confirm)
    if as_json:
        render.json_object(report.to_json())
        return
    done = "taken away" if confirm else "would be taken away (give --confirm)"
    for what in (*report.versions, *report.links):
        render.line(f"{done}: {what}")
    for name in report.left:
        render.say(f"stays, for no install made it: {os.path.join(report.folder, name)}")


COMMANDS = {"verify": verify, "install": install, "uninstall": uninstall}
