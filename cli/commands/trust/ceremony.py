"""keys ceremony (draft, sign, status, finish), keys rotate, keys revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.commands.params import Days, json_option, key_option, once, pass_session
from cli.commands.trust import ceremony_values as values
from cli.drawing import render
from cli.session import Session, read_file, write_new

if TYPE_CHECKING:
    from attest.statements.predicates.ceremony import Transcript
    from attest.trust.trust_roots import TrustRoot
    from casstore.promotion.trust import TrustChange

MAX_DRAFT = 4 * 1024 * 1024

out_option = click.option("--out", required=True, metavar="FILE", help="The draft that every owner signs.")
sigstore_option = click.option(
    "--sigstore-root", metavar="FILE", help="trusted_root.json that keyless owners are judged by."
)


@click.group()
def ceremony() -> None:
    """Make or rotate the trust root: draft it, each owner signs alone, finish."""


@ceremony.command()
@click.option(
    "--identity",
    "identities",
    multiple=True,
    metavar="NAME=PUBKEY",
    help="A .pub file, oidc:ISSUER#SUBJECT, or a .json of conditions.",
)
@click.option(
    "--role", "roles", multiple=True, metavar="ROLE=NAME[,NAME][:N]", help="Who holds a role; N is its threshold."
)
@click.option("--remove", multiple=True, metavar="NAME", help="Take an identity out of the trust root.")
@click.option("--valid-from", multiple=True, metavar="NAME=TIME", help="From when on an identity counts.")
@click.option("--valid-until", multiple=True, metavar="NAME=TIME", help="Until when it counts: 2026-12-31.")
@click.option("--expires-days", type=Days, default=365, show_default=True)
@click.option("--sigstore-root", metavar="FILE", help="Pin this trusted_root.json for all keyless signatures.")
@click.option("--builder", "builders", multiple=True, metavar="NAME=ID", help="A builder id that is NAME's own.")
@click.option("--source", "sources", multiple=True, metavar="NAME=REPO@REF", help="A git source that NAME builds from.")
@click.option("--clock-gap", metavar="TIME", help="How far apart seals may be for clocks to be believed: 36h.")
@click.option(
    "--set-clock", metavar="ENTRY=TIME", help="The seal of ENTRY had a wrong clock: the floor of time is TIME."
)
@click.option("--settle", metavar="ENTRY=DIGEST", help="Which state was true at the disputed seal of ENTRY.")
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="NAME=PUBKEY[:KIND]",
    help="Who must sign each checkpoint: fold (default) or consistency; or a public one, NAME+ID+KEY; NAME=- is out.",
)
@click.option(
    "--quorum", type=click.IntRange(min=1), metavar="K", help="How many witnesses; default: all, or as before."
)
@out_option
@json_option
@pass_session
def draft(
    session: Session,
    identities: tuple[str, ...],
    roles: tuple[str, ...],
    remove: tuple[str, ...],
    valid_from: tuple[str, ...],
    valid_until: tuple[str, ...],
    expires_days: int,
    sigstore_root: str | None,
    builders: tuple[str, ...],
    sources: tuple[str, ...],
    clock_gap: str | None,
    set_clock: str | None,
    settle: str | None,
    witnesses: tuple[str, ...],
    quorum: int | None,
    out: str,
    as_json: bool,
) -> None:
    """Write the next trust root as a draft: the one in force, changed as the options say.

    Channel policies are taken from [channels] of casstore.toml. Roles: owner, builder, approver,
    promoter, publisher, ledger, auditor.

    \b
    Example:
      casstore keys ceremony draft --identity alice=alice.pem.pub --role owner=alice \\
        --role approver=alice,bob --valid-until bob=2026-12-31 --out root.draft
    Exit status: 0 written, 2 a name or role is wrong, 9 FILE exists.
    """
    from casstore.promotion import trust

    change = trust.TrustChange(
        once(((name, values.identity(value)) for name, value in map(values.pair, identities)), "--identity"),
        once(((name, values.role(value)) for name, value in map(values.pair, roles)), "--role"),
        remove,
        expires_days,
        once(((name, values.time(value)) for name, value in map(values.pair, valid_from)), "--valid-from"),
        once(((name, values.time(value)) for name, value in map(values.pair, valid_until)), "--valid-until"),
        values.gathered(builders),
        values.gathered(sources),
        read_file(sigstore_root) if sigstore_root else None,
        values.gap(clock_gap) if clock_gap else None,
        values.set_clock(set_clock) if set_clock else None,
        values.settlement(settle) if settle else None,
        once(map(values.named_witness, witnesses), "--witness"),
        quorum,
    )
    _say_instances(change.sigstore_root)
    _draft(session, change, out, as_json)


@click.command()
@click.argument("name")
@click.argument("new", metavar="NEW")
@click.option("--expires-days", type=Days, default=365, show_default=True)
@out_option
@json_option
@pass_session
def rotate(session: Session, name: str, new: str, expires_days: int, out: str, as_json: bool) -> None:
    """Draft a trust root in which NAME has the key NEW (a .pub file, or oidc:ISSUER#SUBJECT).

    What the old key signed and the ledger recorded stays good. If the key leaked, revoke it too.

    \b
    Example:
      casstore keys rotate ci ci-2027.pem.pub --out root.draft
    Exit status: 0 written, 2 no such name, 9 FILE exists.
    """
    from casstore.promotion import trust

    root = session.trust_root()
    _known(root, name)
    _draft(session, trust.TrustChange({name: values.identity(new)}, expires_days=expires_days), out, as_json)
    _say_leak(root, name)


@click.command()
@click.argument("name")
@click.option("--expires-days", type=Days, default=365, show_default=True)
@out_option
@json_option
@pass_session
def revoke(session: Session, name: str, expires_days: int, out: str, as_json: bool) -> None:
    """Draft a trust root without NAME. What NAME signed before needs `casstore revoke` to count no more.

    \b
    Example:
      casstore keys revoke bob --out root.draft
    Exit status: 0 written, 2 no such name, or a role would have too few, 9 FILE exists.
    """
    from casstore.promotion import trust

    root = session.trust_root()
    _known(root, name)
    _draft(session, trust.TrustChange(remove=(name,), expires_days=expires_days), out, as_json)
    _say_leak(root, name)


@ceremony.command()
@click.argument("draft_file", metavar="DRAFT")
@click.option("--previous", metavar="FILE", help="The signed trust root before, for owners who are leaving.")
@click.option("--out", metavar="FILE", help="The signature file; default: DRAFT.<identity>.sig.")
@click.option("--sigstore-root", metavar="FILE", help="The trusted_root.json that it pins, to see what it asks for.")
@key_option
@json_option
@pass_session
def sign(
    session: Session,
    draft_file: str,
    previous: str | None,
    out: str | None,
    sigstore_root: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Sign a draft as one of its owners; needs no store, so it can be done offline.

    \b
    Example:
      casstore keys ceremony sign root.draft --key alice.pem --out alice.sig
    Exit status: 0 signed, 3 this key is no owner, 9 FILE exists.
    """
    from attest.ceremony import ceremony as steps
    from attest.ceremony import told
    from attest.keys import identities
    from attest.trust import trust_roots

    payload = read_file(draft_file, max_bytes=MAX_DRAFT)
    signer = session.signer(key)
    root = trust_roots.parse_payload(payload)
    before = trust_roots.parse_payload(trust_roots.payload_of(read_file(previous))) if previous else None
    _say_root(root)
    _say_all(payload, trust_roots.payload_of(read_file(previous)) if previous else None)
    _say_pinned(root, read_file(sigstore_root) if sigstore_root else None)
    bundle = steps.sign(payload, signer, previous=before)
    target = out or f"{draft_file}.{identities.short(signer.identity).rpartition(':')[2]}.sig"
    write_new(target, bundle)
    shown = {"signature": target, "signed": list(told.lines(payload))}
    render.json_object(shown) if as_json else render.line(f"signed: {target}")


@ceremony.command()
@click.argument("draft_file", metavar="DRAFT")
@click.argument("signatures", nargs=-1, metavar="[SIGNATURE]...")
@sigstore_option
@json_option
@pass_session
def status(
    session: Session, draft_file: str, signatures: tuple[str, ...], sigstore_root: str | None, as_json: bool
) -> None:
    """Who has signed a draft, and who is still missing.

    \b
    Example:
      casstore keys ceremony status root.draft *.sig
    Exit status: 0 enough have signed, 4 signatures are missing.
    """
    from attest.ceremony import ceremony as steps
    from attest.trust import trust_roots
    from casstore.promotion import trust

    payload, bundles = read_file(draft_file, max_bytes=MAX_DRAFT), [read_file(path) for path in signatures]
    previous = session.state().trust_root
    given = read_file(sigstore_root) if sigstore_root else None
    versions = [root for root in (previous, trust_roots.parse_payload(payload)) if root is not None]
    found = steps.status(
        payload,
        bundles,
        previous=previous,
        at=session.now,
        sigstore=trust.sigstore_roots(session.open_store(), versions, given),
    )
    if as_json:
        render.json_object({"quorums": [quorum.to_json() for quorum in found]})
    else:
        for q in found:
            missing = f"; missing: {', '.join(q.missing)}" if q.missing else ""
            render.line(f"owners of version {q.version}: {q.distinct} of {q.threshold} needed have signed{missing}")
    if not all(quorum.reached for quorum in found):
        raise click.exceptions.Exit(4)


@ceremony.command()
@click.argument("draft_file", metavar="DRAFT")
@click.argument("signatures", nargs=-1, required=True, metavar="SIGNATURE...")
@click.option("--out", metavar="FILE", help="Also write the signed trust root to this file.")
@sigstore_option
@key_option
@json_option
@pass_session
def finish(
    session: Session,
    draft_file: str,
    signatures: tuple[str, ...],
    out: str | None,
    sigstore_root: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Join the signatures, verify them, record the trust root in the ledger, print the transcript.

    With a key (--key or CASSTORE_KEY) of somebody in it the transcript is signed and recorded too.

    \b
    Example:
      casstore keys ceremony finish root.draft alice.sig bob.sig --key alice.pem
    Exit status: 0 recorded, 3 signatures are missing or wrong, 9 it is in force already.
    """
    import os

    from attest.ceremony import ceremony as steps
    from attest.trust import trust_roots
    from casstore import promotion
    from casstore.promotion import trust

    store, previous, now = session.open_store(), session.state().trust_root, session.now
    payload, bundles = read_file(draft_file, max_bytes=MAX_DRAFT), [read_file(path) for path in signatures]
    given = read_file(sigstore_root) if sigstore_root else None
    versions = [root for root in (previous, trust_roots.parse_payload(payload)) if root is not None]
    roots = trust.sigstore_roots(store, versions, given)
    signer = session.signer(key) if key or os.environ.get("CASSTORE_KEY") else None
    signed = steps.combine(payload, bundles, at=now, previous=previous, sigstore=roots)
    told = steps.transcript(signed, at=now, previous=previous, sigstore=roots)
    if out:
        write_new(out, signed)
    entry = trust.adopt(store, session.ledger(), signed, now=now, sigstore_root=given)
    root = session.trust_root()
    kept = None
    if signer is not None:
        raw = signer.sign_statement(steps.transcript_statement(told, root.digest).to_bytes())
        kept, _ = promotion.import_attestation(store, session.ledger(), raw, now=now)
    if as_json:
        result = {"version": root.version, "digest": root.digest, "entry": entry.number}
        render.json_object({**result, "transcript": told.to_json(), "attestation": kept})
        return
    _say_transcript(told)
    render.line(f"trust root version {root.version} is in force, ledger entry {entry.number}")
    if kept is None:
        render.say("the transcript was not signed: give --key URI of somebody in the trust root")


def _draft(session: Session, change: TrustChange, out: str, as_json: bool) -> None:
    from attest.ceremony import ceremony as steps
    from attest.ceremony import feasible
    from attest.trust import trust_roots
    from casstore.promotion import trust

    config, previous = session.optional_config, session.state().trust_root
    payload = trust.propose(
        change,
        store_id=session.open_store().store_id,
        previous=previous,
        channels=config.channels if config else {},
        now=session.now,
    )
    write_new(out, payload)
    root = trust_roots.parse_payload(payload)
    changes = steps.changes(root, previous)
    if as_json:
        unmeetable = list(feasible.unmeetable(root))
        told = {"draft": out, "version": root.version, "digest": root.digest, "changes": list(changes)}
        render.json_object({**told, "unmeetable": unmeetable})
        return
    _warn_of_unmeetable(root)
    render.line(f"draft of trust root version {root.version}, {root.digest}, written to {out}")
    for line in changes if previous else ():
        render.say(f"  changes: {line}")
    _say_witnesses(root)
    render.say(f"next, each owner ({', '.join(root.holders('owner'))}): casstore keys ceremony sign {out} --key URI")


def _say_transcript(told: Transcript) -> None:
    for line in told.changes:
        render.say(f"  changed: {line}")
    for row in told.signatures:
        render.say(f"  signed by {', '.join(row.names)} ({row.identity})")


def _known(root: TrustRoot, name: str) -> None:
    from attest.errors import BadInput

    if root.identity_of(name) is None:
        known = ", ".join(entry.name for entry in root.identities)
        raise BadInput(f"{name!r} is no identity of the trust root", hint=f"known: {known}")


def _say_leak(root: TrustRoot, name: str) -> None:
    entry = root.identity_of(name)
    if entry is not None:
        render.say("what it signed and the ledger recorded stays good; if the key leaked:")
        render.say(f"  casstore revoke {entry.identity} --kind identity --reason TEXT --key URI --confirm")


def _say_all(payload: bytes, before: bytes | None) -> None:
    """Every value of the bytes that are signed, and each that differs from the version before."""
    from attest.ceremony import told

    for line in told.lines(payload):
        render.say(f"  {line}")
    for line in told.changes(payload, before) if before is not None else ():
        render.say(f"  changes: {line}")


def _say_pinned(root: TrustRoot, given: bytes | None) -> None:
    """What the pinned sigstore root asks for. Raises BadInput for another file than the draft pins."""
    from attest.digests import sha256
    from attest.errors import BadInput

    if given is not None and sha256(given) != root.sigstore_root:
        raise BadInput(
            "the sigstore root that was given is not the one that the draft pins",
            hint=f"it pins {root.sigstore_root or 'none'}",
        )
    if given is None and root.sigstore_root is not None:
        render.say("  what its sigstore root asks for is shown with --sigstore-root FILE")
    _say_instances(given)


def _say_instances(sigstore_root: bytes | None) -> None:
    """Each instance that may vouch for keyless signers, and what it asks for: a log entry, or a time stamp alone."""
    from attest.sigstore import sigstore_roots

    for instance in sigstore_roots.parse(sigstore_root).instances if sigstore_root is not None else ():
        render.say(f"  sigstore instance {instance.told}")


def _say_root(root: TrustRoot) -> None:
    render.say(
        f"trust root version {root.version} for store {root.store}, until {root.expires:%Y-%m-%d}, {root.digest}"
    )
    for role in root.roles.values():
        render.say(f"  {role.name}: {', '.join(role.identities)} (threshold {role.threshold})")
    for name, policy in root.channels.items():
        render.say(f"  channel {name}: {policy.approvals} approvals, requires {', '.join(policy.require) or 'nothing'}")
    _say_witnesses(root)
    _warn_of_unmeetable(root)


def _say_witnesses(root: TrustRoot) -> None:
    """What the quorum stands for, which its two numbers do not say."""
    for line in root.witnesses.told if root.witnesses else ():
        render.say(f"  {line}")
    for name in root.unwatched:
        render.say(f"  {name} seals, and publishes or promotes, with one key: only a witness would see what it hides")


def _warn_of_unmeetable(root: TrustRoot) -> None:
    from attest.ceremony import feasible

    for told in feasible.unmeetable(root):
        render.warning(f"nobody can meet this policy: {told}")
