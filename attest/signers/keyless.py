"""`keyless:CONFIG.json`: a short-lived certificate from a sigstore instance, by unchanged sigstore-python.

`CONFIG.json` is the instance's client trust config ({trustedRoot, signingConfig}): a private
instance is a file, not code. Bare `keyless:` is the public-good instance, whose config
sigstore-python fetches over TUF. The identity token is `SIGSTORE_ID_TOKEN`, else the ambient one
of the CI system; with `keyless:CONFIG.json?interactive` a person signs in by the browser.

Promises: every host is put to the network guard before a connection is opened; no service is
waited for longer than `PATIENCE`; a bundle is handed on only after it was verified against the
instance's own trusted root, so that a service that lies is noticed by the signer, not the reader.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import field
from typing import Any, NoReturn

from attest import canonical
from attest.core.values import dataclass
from attest.digests import Digest, to_raw
from attest.errors import SignerError
from attest.keys import identities
from attest.signers import NetworkGuard, Signer
from attest.signers.services import door, limit_patience
from attest.sigstore import keyless

PRODUCTION_TUF = "https://tuf-repo-cdn.sigstore.dev"
STAGING_TUF = "https://tuf-repo-cdn.sigstage.dev"
MAX_TOKEN = 64 * 1024
_STAYING_KEY = "use a key file, an HSM or a KMS for checkpoints and TUF metadata"


@dataclass(frozen=True, slots=True)
class KeylessSigner:
    """Signs for one OIDC identity; one certificate serves the session (it lives some ten minutes)."""

    identity: str
    session: Any = field(repr=False)
    root_json: bytes = field(repr=False)
    stamped: bool
    """Whether the instance's signing config names time stamp authorities."""
    stack: ExitStack = field(repr=False)
    """Keeps the session open as long as this signer lives."""

    @property
    def public_pem(self) -> None:
        """None: the key lives no longer than its certificate."""
        return

    def sign_statement(self, payload: bytes) -> bytes:
        """Statement bytes to bundle bytes; they are signed as they are and never re-encoded."""
        from sigstore.dsse import Statement

        with door("the sigstore instance did not sign"):
            bundle = self.session.sign_dsse(Statement(payload))
        return self._judged(bundle, lambda raw, **by: keyless.verify_keyless(raw, **by))

    def sign_artifact(self, artifact: Digest) -> bytes:
        """The bundle that signs an artifact itself (`sign-bundle`; our own files are always statements)."""
        from sigstore.hashes import Hashed
        from sigstore_models.common.v1 import HashAlgorithm

        with door("the sigstore instance did not sign"):
            hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=to_raw(artifact))
            bundle = self.session.sign_artifact(hashed)
        return self._judged(bundle, lambda raw, **by: keyless.verify_keyless_artifact(raw, artifact, **by))

    def sign_bytes(self, data: bytes) -> NoReturn:  # noqa: ARG002 - the interface's argument
        """Always raises SignerError."""
        raise SignerError("a keyless identity signs attestations only", hint=_STAYING_KEY)

    def as_securesystemslib(self) -> NoReturn:
        """Always raises SignerError."""
        raise SignerError("a keyless identity signs attestations only", hint=_STAYING_KEY)

    def _judged(self, bundle: Any, verify: Callable[..., keyless.KeylessSignature]) -> bytes:
        """The bundle's bytes, if they verify; the certificate's end bounds every time that it may prove."""
        raw: bytes = bundle.to_json().encode()
        if self.stamped and not keyless.stamp_times(raw, self.root_json):
            raise SignerError(
                "no time stamp authority of the instance stamped the signature as it should",
                hint="run it again, or leave the time stamp authorities out of the signing config",
            )
        with door("what the sigstore instance answered does not verify"):
            found = verify(raw, trusted_root_json=self.root_json, at=bundle.signing_certificate.not_valid_after_utc)
        if found.identity != self.identity:
            raise SignerError(f"the instance certified {identities.short(found.identity)}, not this signer")
        return raw


def open_uri(
    uri: str,
    *,
    read: Callable[[str], bytes],
    password: Callable[[], bytes | None],  # noqa: ARG001 - every backend is called alike
    network: NetworkGuard | None,
) -> Signer:
    """Fetch a certificate for the token's identity. Raises SignerError."""
    path, _, query = uri.partition(":")[2].partition("?")
    if query not in ("", "interactive"):
        raise SignerError(f"{uri[:80]}: unknown option {query[:40]!r}", hint="keyless:CONFIG.json?interactive")
    config = open_config(_read(read, path) if path else None, network=network)
    return open_session(config, _token(config, interactive=bool(query)), network=network)


def open_config(config_json: bytes | None, *, staging: bool = False, network: NetworkGuard | None) -> Any:
    """The client trust config from its bytes, or that of the public-good instance over TUF. Raises SignerError."""
    with door("the client trust config cannot be used"):
        from sigstore.models import ClientTrustConfig

        if config_json is not None:
            canonical.loads_object(config_json, what="client trust config")
            return ClientTrustConfig.from_json(config_json.decode())
        if network is not None:
            network.check(STAGING_TUF if staging else PRODUCTION_TUF)
        return ClientTrustConfig.staging() if staging else ClientTrustConfig.production()


def open_session(config: Any, token: str, *, network: NetworkGuard | None) -> KeylessSigner:
    """A certificate from the instance for an identity token, and the session that signs with it."""
    inner = config._inner.signing_config
    if network is not None:
        for service in (*inner.ca_urls, *inner.rekor_tlog_urls, *inner.tsa_urls):
            network.check(service.url)
    with door("no certificate from the sigstore instance"):
        from sigstore.oidc import IdentityToken
        from sigstore.sign import SigningContext

        if len(token) > MAX_TOKEN:
            raise SignerError(f"the identity token has {len(token)} characters, more than the limit of {MAX_TOKEN}")
        context = SigningContext.from_trust_config(config)
        limit_patience(context._fulcio.session, getattr(context._rekor, "_session", None))
        stack = ExitStack()
        # cache=True: without it sigstore 4.5 uses one fresh key for the certificate and another for the signature.
        identity = IdentityToken(token)
        session = stack.enter_context(context.signer(identity, cache=True))
        issuer, subject = keyless.issuer_and_subject(session._signing_cert())
        _check_subject(identity, subject)
        root_json = config._inner.trusted_root.to_json().encode()
    return KeylessSigner(identities.of_oidc(issuer, subject), session, root_json, bool(inner.tsa_urls), stack)


def _check_subject(token: Any, subject: str) -> None:
    """A person's address goes into the certificate as it is; what a CI job becomes is its instance's choice."""
    named = token.identity
    if "@" in named and ":" not in named and named != subject:
        raise SignerError(
            f"the instance certified {subject[:100]}, the token names {named[:100]}",
            hint="do not use this instance before its owners explain it",
        )


def _read(read: Callable[[str], bytes], path: str) -> bytes:
    try:
        return read(path)
    except OSError as exc:
        raise SignerError(f"the client trust config {path} cannot be read: {exc.strerror or exc}") from exc


def _token(config: Any, *, interactive: bool) -> str:
    with door("no identity token"):
        from sigstore.oidc import Issuer, detect_credential

        text = os.environ.get("SIGSTORE_ID_TOKEN")
        if text:
            return text
        if interactive:
            return str(Issuer(config.signing_config.get_oidc_url()).identity_token())
        text = detect_credential()
    if not text:
        raise SignerError(
            "no identity token: neither SIGSTORE_ID_TOKEN nor one of the CI system",
            hint="set SIGSTORE_ID_TOKEN, give the CI job the right to ask for an id token, or sign in yourself:"
            " keyless:CONFIG.json?interactive",
        )
    return text
