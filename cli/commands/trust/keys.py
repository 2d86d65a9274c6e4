"""keys: generate, show, list; ceremony, rotate and revoke stand in `ceremony`."""

from __future__ import annotations

import os

import click

from cli.commands.params import json_option, pass_session
from cli.commands.trust.ceremony import ceremony, revoke, rotate
from cli.drawing import render
from cli.session import Session, passphrase, read_file, write_new


@click.group()
def keys() -> None:
    """Make keys; make, rotate and show the trust root."""


@keys.command()
@click.argument("file")
@click.option("--algorithm", type=click.Choice(["ecdsa-p256", "ed25519"]), default="ed25519", show_default=True)
@click.option("--no-passphrase", is_flag=True, help="Leave the key unencrypted (CI, tests).")
@json_option
def generate(file: str, algorithm: str, no_passphrase: bool, as_json: bool) -> None:
    """Write a new private key to FILE (mode 0600) and its public key to FILE.pub.

    The passphrase is asked for, or read from CASSTORE_PASSWORD. An ed25519 key can hold every role.

    \b
    Example:
      casstore keys generate alice.pem
    Exit status: 0 made, 2 no passphrase, 9 FILE exists.
    """
    from attest.keys import keys as pairs

    secret = None if no_passphrase else passphrase(file)
    if not no_passphrase and not secret:
        raise click.UsageError("a passphrase is needed: set CASSTORE_PASSWORD, or give --no-passphrase")
    private = pairs.generate(algorithm)
    write_new(file, pairs.private_to_pem(private, secret), mode=0o600)
    if os.name != "nt" and os.stat(file).st_mode & 0o077:
        render.warning(f"{file}: this file system keeps no modes, others can read the key: move it")
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
    from attest.keys import keys as pairs

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
    for entry in root.identities:
        if entry.certificate is not None:
            said = ", ".join(f"{name} {_said(value)}" for name, value in entry.certificate.to_json().items())
            render.line(f"{entry.name} is whose certificate says: {said}")


def _said(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)


keys.add_command(ceremony)
keys.add_command(rotate)
keys.add_command(revoke)

COMMANDS = {"keys": keys}
