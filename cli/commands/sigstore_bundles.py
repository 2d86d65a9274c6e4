"""attest sign-bundle, attest verify-bundle: sigstore's conformance protocol, for files of anybody.

The options and their meaning are the protocol's, so that casstore can stand where any sigstore client
stands: https://github.com/sigstore/sigstore-conformance/blob/main/docs/cli_protocol.md
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from attest.core import limits
from attest.errors import BadInput
from cli.commands.params import digest_of_file, json_option, pass_session
from cli.drawing import render
from cli.session import Session, read_file, write_new

if TYPE_CHECKING:
    from collections.abc import Collection

    from attest.signers import Signer
    from attest.trust.artifact_signatures import Artifact, Certificate, Judged
    from casstore.network.network import NetworkGuard

MAX_CONTENT = 64 * 1024 * 1024
MAX_PIECE = 1024 * 1024

staging_option = click.option("--staging", is_flag=True, help="sigstore's staging instance, not its production one.")
root_option = click.option("--trusted-root", metavar="FILE", help="trusted_root.json; default: the instance's own.")


@click.command("sign-bundle")
@click.argument("file")
@click.option("--identity-token", required=True, metavar="TOKEN", help="The OIDC identity token to sign with.")
@click.option("--bundle", required=True, metavar="FILE", help="The bundle to write; must not exist.")
@click.option("--in-toto", is_flag=True, help="FILE is an in-toto statement; sign it as DSSE.")
@click.option("--trust-config", metavar="FILE", help="A private instance's client trust config.")
@click.option("--signing-config", metavar="FILE", help="With --trusted-root: the instance's signing config.")
@root_option
@staging_option
@json_option
@pass_session
def sign_bundle(
    session: Session,
    file: str,
    identity_token: str,
    bundle: str,
    in_toto: bool,
    trust_config: str | None,
    signing_config: str | None,
    trusted_root: str | None,
    staging: bool,
    as_json: bool,
) -> None:
    """Sign FILE keyless, with a given identity token, into a sigstore bundle.

    \b
    Example:
      casstore attest sign-bundle --trust-config sigstore.json --identity-token "$TOKEN" --bundle a.sigstore.json a.txt
    Exit status: 0 signed, 1 refused by the instance, 9 the bundle exists, 12 a service does not answer.
    """
    from attest.signers import keyless

    config_json = _config(trust_config, trusted_root, signing_config)
    network = network_of(session)
    config = keyless.open_config(config_json, staging=staging, network=network)
    signer = keyless.open_session(config, identity_token, network=network)
    if in_toto:
        raw = signer.sign_statement(read_file(file, max_bytes=limits.STATEMENT))
    else:
        raw = signer.sign_artifact(digest_of_file(file))
    write_new(bundle, raw)
    result = {"file": bundle, "identity": signer.identity}
    render.json_object(result) if as_json else render.line(f"{bundle} signed by {signer.identity}")


@click.command("verify-bundle")
@click.argument("file_or_digest")
@click.option("--bundle", required=True, metavar="FILE", help="The sigstore bundle.")
@click.option("--certificate-identity", metavar="IDENTITY", help="Whom the certificate must name.")
@click.option("--certificate-oidc-issuer", metavar="URL", help="Who must have vouched for the identity.")
@click.option("--key", "key_file", metavar="FILE", help="The public key, instead of a certificate identity.")
@click.option("--verify-in-toto", is_flag=True, help="Refuse a bundle that holds no in-toto statement.")
@root_option
@staging_option
@json_option
@pass_session
def verify_bundle(
    session: Session,
    file_or_digest: str,
    bundle: str,
    certificate_identity: str | None,
    certificate_oidc_issuer: str | None,
    key_file: str | None,
    verify_in_toto: bool,
    trusted_root: str | None,
    staging: bool,
    as_json: bool,
) -> None:
    """Verify a sigstore bundle of anybody about a file or sha256:DIGEST (sha384:, sha512:); offline.

    The bundle signs the file itself, or an in-toto statement that names it as a subject: all digests of the
    subject that can be computed must be the file's.

    \b
    Example:
      casstore attest verify-bundle --bundle a.sigstore.json --certificate-identity ann@example.com \\
        --certificate-oidc-issuer https://accounts.example a.txt
    Exit status: 0 verified, 3 it does not hold.
    """
    from attest.errors import VerificationError
    from attest.trust import artifact_signatures

    root_json = _root(trusted_root, staging)
    raw = read_file(bundle, max_bytes=limits.ATTESTATION)
    found = artifact_signatures.verify(
        raw,
        artifact=_artifact(file_or_digest, artifact_signatures.algorithms(raw)),
        signer=_signer(key_file, certificate_identity, certificate_oidc_issuer),
        root_json=root_json,
        at=session.now,
    )
    if verify_in_toto and found.statement is None:
        raise VerificationError("the bundle signs the file itself and holds no in-toto statement")
    if as_json:
        render.json_object(_result(found))
        return
    what = found.statement.predicate_type if found.statement else "a signature over the file"
    render.line(f"verified: {what} by {found.identity}")


def network_of(session: Session) -> NetworkGuard | None:
    """The network policy; where no casstore.toml rules, whoever names an instance allows it."""
    return session.network if session.offline or session.optional_config else None


def with_proofs(
    session: Session,
    signer: Signer,
    rekor: str | None,
    rekor_version: int | None,
    tsa: str | None,
    trust_config: str | None,
) -> Signer:
    """The signer, with a log entry and a time stamp beside each signature where they are asked for."""
    if not (rekor or tsa or trust_config):
        return signer
    from dataclasses import replace

    from attest.signers.logged import LoggedSigner, Services

    services = Services.of_trust_config(read_file(trust_config)) if trust_config else Services()
    named = {"rekor": rekor, "rekor_version": rekor_version, "tsa": tsa}
    services = replace(services, **{name: value for name, value in named.items() if value})  # type: ignore[arg-type]
    return LoggedSigner(signer, services, network_of(session))


def _signer(key_file: str | None, identity: str | None, issuer: str | None) -> Certificate | bytes:
    from attest.trust.artifact_signatures import Certificate

    if key_file is not None and not (identity or issuer):
        return read_file(key_file)
    if key_file is None and identity and issuer:
        return Certificate(identity, issuer)
    raise BadInput(
        "who must have signed?", hint="give --key, or both --certificate-identity and --certificate-oidc-issuer"
    )


def _result(found: Judged) -> dict[str, Any]:
    from attest.core import times

    statement = found.statement
    return {
        "verified": True,
        "identity": found.identity,
        "signedAt": times.format(found.signed_at),
        "predicateType": statement.predicate_type if statement else None,
    }


def _root(path: str | None, staging: bool) -> bytes:
    from attest.sigstore import sigstore_roots

    if path is not None:
        return read_file(path, max_bytes=sigstore_roots.MAX_ROOT)
    return sigstore_roots.packaged("staging" if staging else "production")


def _config(trust_config: str | None, trusted_root: str | None, signing_config: str | None) -> bytes | None:
    from attest.sigstore.sigstore_roots import MAX_ROOT, join_trust_config

    if trust_config is not None and not (trusted_root or signing_config):
        return read_file(trust_config, max_bytes=MAX_ROOT)
    if trusted_root and signing_config and trust_config is None:
        root, config = (read_file(name, max_bytes=MAX_ROOT) for name in (trusted_root, signing_config))
        return join_trust_config(root, config)
    if trust_config or trusted_root or signing_config:
        raise BadInput("not one instance", hint="give --trust-config, or both --trusted-root and --signing-config")
    return None


def _artifact(text: str, wanted: Collection[str]) -> Artifact:
    """Its digests, and the content where it is a file that fits in memory (an Ed25519 signature needs it)."""
    from attest.statements import subjects
    from attest.trust.artifact_signatures import Artifact

    given = subjects.of_text(text)
    if given is not None and not os.path.exists(text):
        return Artifact(given)
    try:
        if os.path.getsize(text) <= MAX_CONTENT:
            content = read_file(text, max_bytes=MAX_CONTENT)
            return Artifact(subjects.of_pieces([content], wanted), content)
        with open(text, "rb") as file:
            return Artifact(subjects.of_pieces(iter(lambda: file.read(MAX_PIECE), b""), wanted))
    except OSError as exc:
        raise BadInput(f"{text}: cannot be read: {exc.strerror}", hint="give a file or sha256:HEX") from exc


COMMANDS = {"sign-bundle": sign_bundle, "verify-bundle": verify_bundle}
