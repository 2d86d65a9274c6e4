"""ledger witness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.commands.params import json_option, key_option, pass_session
from cli.drawing import render
from cli.session import Session, read_file

if TYPE_CHECKING:
    from bundlers.witnessing.witness import WitnessReport


@click.command()
@click.option("--from", "source", required=True, metavar="URL", help="A publication of the ledger.")
@click.option("--also", multiple=True, metavar="URL", help="A mirror: it must be of the same history.")
@click.option("--memory", metavar="FOLDER", help="What it signed before; its own, never copied.")
@click.option("--out", required=True, metavar="URL", help="Where its lines lie: a folder or bucket of its own.")
@click.option("--peers", multiple=True, metavar="URL", help="Where another witness writes.")
@click.option("--protocol", type=click.Choice(["c2sp"]), help="Sign nothing: post to public witnesses of this kind.")
@click.option(
    "--post", multiple=True, metavar="NAME=URL", help="With --protocol: a witness, and its submission prefix."
)
@click.option("--trust-root", metavar="DIGEST", help="Digest of trust root 1; a new memory needs it, and --protocol.")
@click.option("--sigstore-root", metavar="FILE", help="trusted_root.json, to judge keyless signers by.")
@key_option
@json_option
@pass_session
def witness(
    session: Session,
    source: str,
    also: tuple[str, ...],
    memory: str | None,
    out: str,
    peers: tuple[str, ...],
    protocol: str | None,
    post: tuple[str, ...],
    trust_root: str | None,
    sigstore_root: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Follow a ledger from what is published, and sign its newest checkpoint as a witness.

    Folds every entry (a witness of the kind `fold`), compares each seal, and signs only what continues
    what this key signed before. Needs no store and no casstore.toml; run it from cron, on a machine of
    its own. Two histories are kept as evidence below the memory, and nothing is signed any more.

    With --protocol c2sp it is no witness, and needs no key: it posts the newest checkpoint to public
    witnesses (c2sp.org/tlog-witness), and puts the lines that they answer at --out.

    \b
    Example:
      casstore ledger witness --from https://releases.example --memory w1 --out ./w1-site \\
        --key w1.pem --trust-root sha256:...
      casstore ledger witness --protocol c2sp --post witness.example/w1=https://witness.example \\
        --from https://releases.example --out ./w1-site --trust-root sha256:...
    Exit status: 0 signed, or nothing new, 3 it does not hold, or an older state is served, 4 this key is no
    witness or has lost its memory, 7 a seal is not what its entries add up to, 8 nothing is published,
    9 another run is at work, 12 away. With --protocol: 0 every line is there, 3 a witness signed another history
    or more entries, or answers with no line of its own, 4 it does not know this ledger or its key, or is no
    witness of the kind consistency, 12 it is away.
    """
    if protocol is not None:
        if memory is not None or also or peers or key is not None:
            raise click.UsageError("--protocol signs and remembers nothing: no --memory, --key, --also, --peers")
        _post(session, source, out, post, trust_root, sigstore_root, as_json=as_json)
        return
    if memory is None or post:
        raise click.UsageError("--post belongs to --protocol" if post else "Missing option '--memory'.")
    from attest import digests
    from bundlers.witnessing import witness as witnessing
    from bundlers.witnessing.witness import WitnessSettings

    settings = WitnessSettings(
        (source, *also),
        memory,
        out,
        peers,
        digests.parse(trust_root) if trust_root else None,
        read_file(sigstore_root) if sigstore_root else None,
    )
    report = witnessing.run(settings, session.signer(key), now=session.now, network=session.network)
    if as_json:
        render.json_object(report.to_json())
    else:
        _told(report)


def _post(
    session: Session,
    source: str,
    out: str,
    post: tuple[str, ...],
    trust_root: str | None,
    sigstore_root: str | None,
    *,
    as_json: bool,
) -> None:
    from attest import digests
    from bundlers.witnessing import posting
    from cli.commands.trust.ceremony_values import pair

    if not post or trust_root is None:
        raise click.UsageError("--protocol needs --post and --trust-root")
    settings = posting.PostingSettings(
        source,
        out,
        dict(map(pair, post)),
        digests.parse(trust_root),
        read_file(sigstore_root) if sigstore_root else None,
    )
    report = posting.run(settings, now=session.now, network=session.network)
    for exc in report.failed.values():
        render.error(exc.message, hint=exc.hint)
    if as_json:
        render.json_object(report.to_json())
    else:
        signed = f"signed by {', '.join(report.signed)}" if report.signed else "signed by none of them"
        render.line(f"{report.size} entries, root {report.root_hash}: {signed}")
    codes = {exc.exit_code for exc in report.failed.values()}
    if codes:
        raise click.exceptions.Exit(next((code for code in (3, 4, 12) if code in codes), max(codes)))


def _told(report: WitnessReport) -> None:
    for line in report.away:
        render.warning(f"not read: {line}")
    for name in report.ahead:
        render.warning(f"the witness {name} signed more entries than any source shows here")
    done = "signed" if report.new else "signed before, nothing new"
    peers = f"; agrees with {', '.join(report.agreeing)}" if report.agreeing else ""
    render.line(f"{report.name} ({report.kind}): {report.size} entries, root {report.root_hash}: {done}{peers}")
