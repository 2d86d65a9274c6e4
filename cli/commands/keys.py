"""keys: generate, show, list, ceremony (draft, sign, status, finish)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import render
from cli.params import json_option, key_option, pass_session
from cli.session import Session, passphrase, read_file, write_new

if TYPE_CHECKING:
    from attest.trust_roots import TrustRoot
    from casstore.trust import RoleChange

MAX_DRAFT = 4 * 1024 * 1024


@click.group()
def keys() -> None:
    """Make keys; make, rotate and show the trust root."""


@keys.command()
@click.argument("file")
@click.option("--algorithm", type=click.Choice(["ecdsa-p256", "ed25519"]), default="ecdsa-p256", show_default=True)
@click.option("--no-passphrase", is_flag=True, help="Leave the key unencrypted (CI, tests).")
@json_option
def generate(file: str, algorithm: str, no_passphrase: bool, as_json: bool) -> None:
    """Write a new private key to FILE (mode 0600) and its public key to FILE.pub.

    The passphrase is asked for, or read from CASSTORE_PASSWORD. The ledger role's key is ed25519.

    \b
    Example:
      casstore keys generate alice.pem
    Exit status: 0 made, 2 no passphrase, 9 FILE exists.
    """
    from attest import keys as pairs

    secret = None if no_passphrase else passphrase(file)
    if not no_passphrase and not secret:
        raise click.UsageError("a passphrase is needed: set CASSTORE_PASSWORD, or give --no-passphrase")
    private = pairs.generate(algorithm)
    write_new(file, pairs.private_to_pem(private, secret), mode=0o600)
    write_new(f"{file}.pub", pairs.public_to_pem(private.public_key()))
    result = {"file": file, "public": f"{file}.pub", "identity": pairs.identity_of(private.public_key())}
    render.json_object(result) if as_json else render.line(result["identity"])


@keys.command()
@click.argument("file")
@json_option
def show(file: str, as_json: bool) -> None:
    """The identity of a public key file.

    \b
    Example:
      casstore keys show alice.pem.pub
    """
    from attest import keys as pairs

    public = pairs.public_from_pem(read_file(file))
    result = {"identity": pairs.identity_of(public), "algorithm": pairs.algorithm_of(public)}
    render.json_object(result) if as_json else render.line(f"{result['identity']} {result['algorithm']}")


@keys.command(name="list")
@json_option
@pass_session
def list_identities(session: Session, as_json: bool) -> None:
    """Who is in the trust root: name, roles, until when, identity.

    \b
    Example:
      casstore keys list
    """
    root = session.trust_root()
    if as_json:
        render.json_object({**root.to_json(), "digest": root.digest})
        return
    render.line(f"trust root version {root.version}, valid until {root.expires:%Y-%m-%d %H:%MZ}, {root.digest}")
    render.table(
        ("NAME", "ROLES", "UNTIL", "IDENTITY"),
        [
            (
                entry.name,
                ",".join(role.name for role in root.roles.values() if entry.name in role.identities) or "-",
                entry.valid_until.strftime("%Y-%m-%d") if entry.valid_until else "-",
                entry.identity,
            )
            for entry in root.identities
        ],
    )


@keys.group()
def ceremony() -> None:
    """Make or rotate the trust root: draft it, each owner signs alone, finish."""


@ceremony.command()
@click.option(
    "--identity", "identities", multiple=True, metavar="NAME=PUBKEY", help="A .pub file, or oidc:ISSUER#SUBJECT."
)
@click.option(
    "--role", "roles", multiple=True, metavar="ROLE=NAME[,NAME][:N]", help="Who holds a role; N is its threshold."
)
@click.option("--remove", multiple=True, metavar="NAME", help="Take an identity out of the trust root.")
@click.option("--expires-days", type=click.IntRange(min=1), default=365, show_default=True)
@click.option("--out", required=True, metavar="FILE", help="The draft that every owner signs.")
@json_option
@pass_session
def draft(
    session: Session,
    identities: tuple[str, ...],
    roles: tuple[str, ...],
    remove: tuple[str, ...],
    expires_days: int,
    out: str,
    as_json: bool,
) -> None:
    """Write the next trust root as a draft: the one in force, changed as the options say.

    Channel policies are taken from [channels] of casstore.toml. Roles: owner, builder, approver,
    promoter, publisher, ledger, auditor.

    \b
    Example:
      casstore keys ceremony draft --identity alice=alice.pem.pub --role owner=alice \\
        --role approver=alice,bob --out root.draft
    Exit status: 0 written, 2 a name or role is wrong, 9 FILE exists.
    """
    from attest import trust_roots
    from casstore import trust

    state = session.state()
    config = session.optional_config
    change = trust.TrustChange(
        {name: _identity(value) for name, value in map(_pair, identities)},
        {name: _role(value) for name, value in map(_pair, roles)},
        remove,
        expires_days,
    )
    payload = trust.propose(
        change,
        store_id=session.open_store().store_id,
        previous=state.trust_root,
        channels=config.channels if config else {},
        now=session.now,
    )
    write_new(out, payload)
    root = trust_roots.parse_payload(payload)
    if as_json:
        render.json_object({"draft": out, "version": root.version, "digest": root.digest})
    else:
        render.line(f"draft of trust root version {root.version}, {root.digest}, written to {out}")
        render.say(
            f"next, each owner ({', '.join(root.holders('owner'))}): casstore keys ceremony sign {out} --key URI"
        )


@ceremony.command()
@click.argument("draft_file", metavar="DRAFT")
@click.option("--out", metavar="FILE", help="The signature file; default: DRAFT.<identity>.sig.")
@key_option
@json_option
@pass_session
def sign(session: Session, draft_file: str, out: str | None, key: str | None, as_json: bool) -> None:
    """Sign a draft as one of its owners; needs no store, so it can be done offline.

    \b
    Example:
      casstore keys ceremony sign root.draft --key alice.pem --out alice.sig
    Exit status: 0 signed, 3 this key is no owner, 9 FILE exists.
    """
    from attest import ceremony as steps
    from attest import identities, trust_roots

    payload = read_file(draft_file, max_bytes=MAX_DRAFT)
    signer = session.signer(key)
    _say_root(trust_roots.parse_payload(payload))
    bundle = steps.sign(payload, signer)
    target = out or f"{draft_file}.{identities.short(signer.identity).rpartition(':')[2]}.sig"
    write_new(target, bundle)
    render.json_object({"signature": target}) if as_json else render.line(f"signed: {target}")


@ceremony.command()
@click.argument("draft_file", metavar="DRAFT")
@click.argument("signatures", nargs=-1, metavar="[SIGNATURE]...")
@json_option
@pass_session
def status(session: Session, draft_file: str, signatures: tuple[str, ...], as_json: bool) -> None:
    """Who has signed a draft, and who is still missing.

    \b
    Example:
      casstore keys ceremony status root.draft *.sig
    Exit status: 0 enough have signed, 4 signatures are missing.
    """
    from attest import ceremony as steps

    payload, bundles = read_file(draft_file, max_bytes=MAX_DRAFT), [read_file(path) for path in signatures]
    found = steps.status(payload, bundles, previous=session.state().trust_root)
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
@json_option
@pass_session
def finish(session: Session, draft_file: str, signatures: tuple[str, ...], out: str | None, as_json: bool) -> None:
    """Join the signatures, verify them, and record the trust root in the ledger.

    \b
    Example:
      casstore keys ceremony finish root.draft alice.sig bob.sig
    Exit status: 0 recorded, 3 signatures are missing or wrong, 9 it is in force already.
    """
    from attest import ceremony as steps
    from casstore import trust

    payload, bundles = read_file(draft_file, max_bytes=MAX_DRAFT), [read_file(path) for path in signatures]
    signed = steps.combine(payload, bundles, at=session.now, previous=session.state().trust_root)
    if out:
        write_new(out, signed)
    entry = trust.adopt(session.open_store(), session.ledger(), signed, now=session.now)
    root = session.trust_root()
    if as_json:
        render.json_object({"version": root.version, "digest": root.digest, "entry": entry.number})
    else:
        render.line(f"trust root version {root.version} is in force, ledger entry {entry.number}")


def check_alone(session: Session, key: str) -> None:
    """Whether `start_alone` can work, before anything is made. Raises BadInput, SignerError."""
    from attest.errors import BadInput

    session.signer(key)
    config = session.optional_config
    if config is None or not config.channels:
        raise BadInput(
            "a trust root needs channel policies", hint="write [channels.NAME] with approvals = N in casstore.toml"
        )


def start_alone(session: Session, key: str, expires_days: int) -> str:
    """A first trust root in which one key holds every role; returns its digest."""
    from attest import ceremony as steps
    from attest.trust_roots import ROLES
    from casstore import trust

    signer = session.signer(key)
    config = session.optional_config
    change = trust.TrustChange(
        {"owner": signer.public_pem or signer.identity},
        {role: trust.RoleChange(("owner",)) for role in ROLES},
        expires_days=expires_days,
    )
    store = session.open_store()
    payload = trust.propose(
        change, store_id=store.store_id, previous=None, channels=config.channels if config else {}, now=session.now
    )
    signed = steps.combine(payload, [steps.sign(payload, signer)], at=session.now)
    trust.adopt(store, session.ledger(), signed, now=session.now)
    return session.trust_root().digest


def _say_root(root: TrustRoot) -> None:
    render.say(
        f"trust root version {root.version} for store {root.store}, until {root.expires:%Y-%m-%d}, {root.digest}"
    )
    for role in root.roles.values():
        render.say(f"  {role.name}: {', '.join(role.identities)} (threshold {role.threshold})")
    for name, policy in root.channels.items():
        render.say(f"  channel {name}: {policy.approvals} approvals, requires {', '.join(policy.require) or 'nothing'}")


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name or not value:
        raise click.UsageError(f"not of the form NAME=VALUE: {text!r}")
    return name, value


def _identity(value: str) -> bytes | str:
    return value if value.startswith("oidc:") else read_file(value)


def _role(value: str) -> RoleChange:
    from casstore.trust import RoleChange

    names, separator, threshold = value.partition(":")
    if separator and not (threshold.isdigit() and int(threshold)):
        raise click.UsageError(f"not a threshold: {threshold!r}")
    return RoleChange(tuple(name for name in names.split(",") if name), int(threshold) if separator else None)


COMMANDS = {"keys": keys}
