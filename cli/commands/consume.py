"""verify, install, export, import: for whoever receives a release."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from attest import digests
from attest.errors import BadInput
from cli.commands.params import clock_option, confirm_option, json_option, key_option, pass_session
from cli.drawing import render
from cli.session import Session, read_file

if TYPE_CHECKING:
    from bundlers.consuming.service import TrustSettings


def _go_offline(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_object(Session).offline = True  # type: ignore[union-attr]


_TRUST_OPTIONS = (
    click.option("--offline", is_flag=True, expose_value=False, callback=_go_offline, help="Open no socket."),
    click.option("--trust-root", metavar="DIGEST", help="Digest of trust root 1; without it the first use is pinned."),
    click.option("--tuf-root", metavar="DIGEST", help="Digest of metadata/1.root.json; the trust root is enough."),
    click.option("--sigstore-root", metavar="FILE", help="trusted_root.json, to judge keyless signers by."),
    click.option("--state", metavar="FOLDER", help="Where pins are kept; default: ~/.local/state/casstore."),
)


def _trust_options(function: Any) -> Any:
    for option in reversed(_TRUST_OPTIONS):
        function = option(function)
    return function


@click.command()
@click.argument("source")
@click.option("--channel", metavar="NAME", help="Which channel; a kit with one channel needs none.")
@click.option("--product", metavar="NAME", help="Only this product's archive.")
@click.option("--archive", metavar="FILE", help="A file at hand that must be one of the release's archives.")
@click.option(
    "--trust-root-file", metavar="FILE", help="For a release's folder: the signed trust root, instead of the store's."
)
@click.option("--replay", is_flag=True, help="Fold the whole ledger anew: nothing that was sealed is believed.")
@_trust_options
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
        trust=_trust(trust_root, tuf_root, sigstore_root, state),
        at=session.now,
        network=session.network,
        offline=session.offline,
        product=product,
        archive=archive,
        replay=replay,
    )
    if as_json:
        render.json_object(report.to_json())
        return
    found = report.verified.channel
    render.line(f"{report.verdict}: {found.channel} {found.version}, as of {report.as_of:%Y-%m-%d %H:%M:%SZ}")
    render.line(f"release {found.release_digest}, ledger entry {found.move.number} ({found.action})")
    approvers = ", ".join(found.approved_by) or "nobody (none needed)"
    render.line(f"promoted by {', '.join(found.promoted_by)}; approved by {approvers}")
    render.line(f"{len(found.evidence)} attestations hold under trust root version {found.trust_root.version}")
    for key, build in found.builds.items():
        read = ": every byte holds" if build.archive.name in report.archives else ""
        platform = f" for {build.manifest.platform.told}" if build.manifest.platform else ""
        render.line(f"{key}{platform}: archive {build.archive.name}{read}")
    if report.replayed:
        told = f"{report.replayed.entries} entries add up to what was sealed, {report.replayed.void} of them are void"
        render.line(f"replayed: {told}")
    if found.first_use:
        render.say(f"first use: trust root pinned, {found.trust_root.digest}")


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
@click.option("--dry-run", is_flag=True, help="Verify, and say what would be done; nothing changes.")
@click.option("--list", "listed", is_flag=True, help="Show the versions that lie in FOLDER.")
@click.option("--rollback", is_flag=True, help="Switch back to the version before.")
@click.option("--verify-installed", is_flag=True, help="Check the files in force, and whether they may still be used.")
@_trust_options
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

    Of several builds the one for this machine is taken; --platform takes another.

    \b
    Examples:
      casstore install core --from https://releases.example --channel prod --into /opt/core
      casstore install acme --from URL --channel prod --into ~/acme --link-bin ~/.local/bin
      casstore install --rollback --into /opt/core
      casstore install --verify-installed --into /opt/core
    Exit status: 0 installed or in force already, 3 it does not verify, or was withdrawn (nothing changed),
    8 no such product or no build for this machine, 9 a name in FOLDER is taken, 12 unreachable.
    """
    from bundlers.consuming import install as installing

    if listed:
        _list(into, as_json)
        return
    if rollback:
        report = installing.install_rollback(into, at=session.now)
    elif verify_installed:
        trust = _trust(trust_root, tuf_root, sigstore_root, state)
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
                trust=_trust(trust_root, tuf_root, sigstore_root, state),
                at=session.now,
                network=session.network,
                offline=session.offline,
                progress=bar,
                platform=platform,
                link_bin=link_bin,
                keep=keep,
                dry_run=dry_run,
            )
    if as_json:
        render.json_object(report.to_json())
    else:
        done = "in force" if report.changed else "in force already"
        if report.dry_run and report.changed:
            done = f"would be in force ({render.size(report.fetched)} to fetch)"
        receipt = report.receipt
        build = "" if receipt.build == "default" else f" ({receipt.build})"
        render.line(f"{receipt.product} {receipt.version}{build} {done}: {report.path}")
        if others := [told for name, told in report.builds.items() if name != receipt.build]:
            render.say(f"other builds: {', '.join(others)} (--platform takes one)")
        for name in report.kept:
            render.say(f"kept as you have it: {name}")
        for name in report.pruned:
            render.say(f"{'would be taken away' if report.dry_run else 'taken away'}: {name}")
        for path in report.links:
            render.line(f"linked: {path}")
        if report.added:
            render.say(
                f"{len(report.added)} files lie there beside those of the archive: {', '.join(report.added[:3])}"
            )


def _list(into: str, as_json: bool) -> None:
    from bundlers.consuming import keeping
    from bundlers.consuming.installed import InstalledFolder

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
    from bundlers.consuming import keeping
    from bundlers.consuming.installed import InstalledFolder

    report = keeping.uninstall(InstalledFolder(into), link_bins=link_bins, confirm=confirm)
    if as_json:
        render.json_object(report.to_json())
        return
    done = "taken away" if confirm else "would be taken away (give --confirm)"
    for what in (*report.versions, *report.links):
        render.line(f"{done}: {what}")
    for name in report.left:
        render.say(f"stays, for no install made it: {os.path.join(report.folder, name)}")


@click.command()
@click.argument("release")
@click.argument("file")
@click.option("--channel", metavar="NAME", help="Only for this channel; default: every channel that holds it.")
@clock_option
@key_option
@json_option
@pass_session
def export(
    session: Session,
    release: str,
    file: str,
    channel: str | None,
    clock_checked: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Write RELEASE into one kit FILE: bytes, evidence, trust roots, ledger proof, revocations.

    --key is the ledger role's Ed25519 key and signs a fresh checkpoint; without it the newest
    published one serves.

    \b
    Example:
      casstore export prod kit.tar --key ledger.pem
    Exit status: 0 written, 4 nothing holds it or no checkpoint, 8 no such release, 9 FILE exists.
    """
    from bundlers.consuming import kits

    signer = session.signer(key) if key or os.environ.get("CASSTORE_KEY") else None
    if signer is not None:
        session.check_clock(clock_checked)
    report = kits.export(
        session.open_store(read_only=signer is None),
        session.ledger(read_only=signer is None),
        release,
        file,
        signer=signer,
        channel=channel,
        now=session.now,
    )
    if as_json:
        render.json_object(report.to_json())
    else:
        render.line(f"{report.version} ({', '.join(report.channels)}) -> {report.path}, {render.size(report.size)}")
        which = f" --channel {report.channels[-1]}" if len(report.channels) > 1 else ""
        render.say(f"anyone can check it: casstore --offline verify {file}{which}")


@click.command(name="import")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|FOLDER|URL...")
@click.option("--channel", metavar="NAME", help="Which channel of a kit.")
@click.option("--rekor", metavar="URL", help="Ask this log for the entries of envelopes that came without one.")
@click.option("--log-entry", metavar="FILE", help="That entry, as Rekor's API answered it, for one envelope.")
@_trust_options
@json_option
@pass_session
def import_files(
    session: Session,
    sources: tuple[str, ...],
    channel: str | None,
    rekor: str | None,
    log_entry: str | None,
    trust_root: str | None,
    tuf_root: str | None,
    sigstore_root: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Take in what was made elsewhere: attestations of any tool (approvals, SBOMs, ...) and kits.

    Reads sigstore bundles, one or many a file, what npm, PyPI and GitHub serve, bare DSSE envelopes and cosign's
    blob bundles; says of each what it is, whom it names and whether it counts. One by somebody whom the trust
    root knows becomes evidence in the ledger; a bad one does not stop the others. A kit is verified, then its
    objects are kept.

    \b
    Examples:
      casstore import alice-approval.sigstore.json
      casstore import evidence/ https://INDEX/integrity/core/1.4.0/core-1.4.0.tar.gz/provenance
    Exit status: 0 taken in, 3 one of them does not hold or cannot be read, 4 nothing of it can be evidence.
    """
    from bundlers.consuming import kits
    from cli.commands import importing

    rows: list[dict[str, Any]] = []
    for source in sources:
        if os.path.isfile(source) and _is_tar(source):
            trust = _trust(trust_root, tuf_root, sigstore_root, state)
            kit = kits.import_kit(session.open_store(), source, trust=trust, at=session.now, channel=channel)
            rows.append({"file": source, "kind": "kit", **kit.to_json()})
        else:
            rows += importing.take_source(session, source, rekor=rekor, log_entry=log_entry, root=sigstore_root)
    importing.tell(rows, as_json=as_json)


def _trust(trust_root: str | None, tuf_root: str | None, sigstore_root: str | None, state: str | None) -> TrustSettings:
    from bundlers.consuming.service import TrustSettings

    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return TrustSettings(
        state or os.path.join(base, "casstore"),
        digests.parse(trust_root) if trust_root else None,
        digests.parse(tuf_root) if tuf_root else None,
        read_file(sigstore_root) if sigstore_root else None,
    )


def _is_tar(path: str) -> bool:
    """Whether a file is a kit; an attestation is JSON."""
    try:
        with open(path, "rb") as file:
            return file.read(512)[257:262] == b"ustar"
    except OSError as exc:
        raise BadInput(f"{path}: cannot be read: {exc.strerror}") from exc


COMMANDS = {"verify": verify, "install": install, "uninstall": uninstall, "export": export, "import": import_files}
