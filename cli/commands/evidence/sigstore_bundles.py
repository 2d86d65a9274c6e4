"""attest sign-bundle, attest verify-bundle: sigstore's conformance protocol, for files of anybody.

The options and their meaning are the protocol's, so that casstore can stand where any sigstore client
stands: https://github.com/sigstore/sigstore-conformance/blob/main/docs/cli_protocol.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from attest.core import limits
from attest.errors import BadInput
from cli.commands.params import digest_of_file, json_option, pass_session
from cli.drawing import render
from cli.session import Session, read_file, write_new

if TYPE_CHECKING:
    from attest.signers import Signer
    from attest.trust.artifact_signatures import Certificate
    from casstore.network.network import NetworkGuard


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
@click.argument("files", nargs=-1, required=True, metavar="FILE_OR_DIGEST...")
@click.option(
    "--bundle", "bundles", required=True, multiple=True, metavar="FILE", help="The signature; may be repeated."
)
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
    files: tuple[str, ...],
    bundles: tuple[str, ...],
    certificate_identity: str | None,
    certificate_oidc_issuer: str | None,
    key_file: str | None,
    verify_in_toto: bool,
    trusted_root: str | None,
    staging: bool,
    as_json: bool,
) -> None:
    """Verify signatures of anybody about a file or sha256:DIGEST (sha384:, sha512:); offline.

    A bundle signs the file itself, or an in-toto statement that names it as a subject: all digests of the
    subject that can be computed must be the file's. It may be in any form that `import` reads. Several bundles
    about one file, or as many bundles as files, in pairs, give one verdict for each signature.

    \b
    Examples:
      casstore attest verify-bundle --bundle a.sigstore.json --certificate-identity ann@example.com \\
        --certificate-oidc-issuer https://accounts.example a.txt
      casstore attest verify-bundle --bundle a.json --bundle b.json --key release.pub a.tar.gz b.tar.gz
    Exit status: 0 all verified, 3 one does not hold.
    """
    from cli.commands.evidence import bundle_verdicts

    signer = _signer(key_file, certificate_identity, certificate_oidc_issuer)
    asked = bundle_verdicts.Asked(signer, _root(trusted_root, staging), session.now, verify_in_toto)
    rows = [row for file, bundle in _pairs(files, bundles) for row in bundle_verdicts.verdicts(file, bundle, asked)]
    bundle_verdicts.tell(rows, as_json=as_json)


def _pairs(files: tuple[str, ...], bundles: tuple[str, ...]) -> list[tuple[str, str]]:
    if len(files) == 1:
        return [(files[0], bundle) for bundle in bundles]
    if len(files) != len(bundles):
        raise BadInput(
            f"{len(files)} files and {len(bundles)} bundles", hint="give one file, or one --bundle for each file"
        )
    return list(zip(files, bundles, strict=True))


def network_of(session: Session, *urls: str) -> NetworkGuard | None:
    """The network policy and what is named here; where no casstore.toml rules, whoever names an instance allows it."""
    return session.network.named(*urls) if session.offline or session.optional_config else None


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
    typed = [url for url in (rekor, tsa) if url]
    return LoggedSigner(signer, services, network_of(session, *typed))


def _signer(key_file: str | None, identity: str | None, issuer: str | None) -> Certificate | bytes:
    from attest.trust.artifact_signatures import Certificate

    if key_file is not None and not (identity or issuer):
        return read_file(key_file)
    if key_file is None and identity and issuer:
        return Certificate(identity, issuer)
    raise BadInput(
        "who must have signed?", hint="give --key, or both --certificate-identity and --certificate-oidc-issuer"
    )


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


COMMANDS = {"sign-bundle": sign_bundle, "verify-bundle": verify_bundle}
