"""`keyless:CONFIG.json`: a short-lived certificate from a sigstore instance, by unchanged sigstore-python.

`CONFIG.json` is the instance's client trust config ({trustedRoot, signingConfig}): a private
instance is a file, not code. Bare `keyless:` is the public-good instance, whose config
sigstore-python fetches over TUF. The identity token is `SIGSTORE_ID_TOKEN`, else the ambient one
of the CI system. Every host is put to the network guard before a connection is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from attest import canonical, identities, keyless
from attest.errors import CasstoreError, SignerError
from attest.signers import NetworkGuard, Signer

_PUBLIC_TUF = "https://tuf-repo-cdn.sigstore.dev"
_STAYING_KEY = "use a key file, an HSM or a KMS for checkpoints and TUF metadata"


@dataclass(frozen=True, slots=True)
class KeylessSigner:
    """Signs for one OIDC identity; one certificate serves the session (it lives some ten minutes)."""

    identity: str
    session: Any = field(repr=False)
    stack: ExitStack = field(repr=False)
    """Keeps the session open as long as this signer lives."""

    @property
    def public_pem(self) -> None:
        """None: the key lives no longer than its certificate."""
        return

    def sign_statement(self, payload: bytes) -> bytes:
        """Statement bytes to bundle bytes; they are signed as they are and never re-encoded."""
        from sigstore.dsse import Statement

        with _door("the sigstore instance did not sign"):
            raw: str = self.session.sign_dsse(Statement(payload)).to_json()
        return raw.encode()

    def sign_bytes(self, data: bytes) -> NoReturn:  # noqa: ARG002 - the interface's argument
        """Always raises SignerError."""
        raise SignerError("a keyless identity signs attestations only", hint=_STAYING_KEY)

    def as_securesystemslib(self) -> NoReturn:
        """Always raises SignerError."""
        raise SignerError("a keyless identity signs attestations only", hint=_STAYING_KEY)


def open_uri(
    uri: str,
    *,
    read: Callable[[str], bytes],
    password: Callable[[], bytes | None],  # noqa: ARG001 - every backend is called alike
    network: NetworkGuard | None,
) -> Signer:
    """Fetch a certificate for the token's identity. Raises SignerError."""
    path = uri.partition(":")[2]
    config_json = _read(read, path).decode() if path else None
    with _door(f"{uri[:80]}: no certificate from the sigstore instance"):
        from sigstore.models import ClientTrustConfig
        from sigstore.sign import SigningContext

        if config_json is not None:
            config = ClientTrustConfig.from_json(config_json)
        else:
            _ask(network, [_PUBLIC_TUF])
            config = ClientTrustConfig.production()
        _ask(network, _hosts(config))
        stack = ExitStack()
        # cache=True: without it sigstore 4.5 uses one fresh key for the certificate and another for the signature.
        session = stack.enter_context(SigningContext.from_trust_config(config).signer(_token(), cache=True))
        issuer, subject = keyless.issuer_and_subject(session._signing_cert())
    return KeylessSigner(identities.of_oidc(issuer, subject), session, stack)


def _read(read: Callable[[str], bytes], path: str) -> bytes:
    try:
        raw = read(path)
    except OSError as exc:
        raise SignerError(f"the client trust config {path} cannot be read: {exc.strerror or exc}") from exc
    canonical.loads_object(raw, what=f"client trust config {path}")
    return raw


def _token() -> Any:
    from sigstore.oidc import IdentityToken, detect_credential

    text = os.environ.get("SIGSTORE_ID_TOKEN") or detect_credential()
    if not text:
        raise SignerError(
            "no identity token: neither SIGSTORE_ID_TOKEN nor one of the CI system",
            hint="set SIGSTORE_ID_TOKEN, or give the CI job the right to ask for an id token",
        )
    return IdentityToken(text)


def _hosts(config: Any) -> list[str]:
    """The URLs of every service that signing may call."""
    inner = config._inner.signing_config
    return [service.url for service in (*inner.ca_urls, *inner.rekor_tlog_urls, *inner.tsa_urls)]


def _ask(network: NetworkGuard | None, urls: list[str]) -> None:
    if network is not None:
        for url in urls:
            network.check(url)


@contextmanager
def _door(what: str) -> Iterator[None]:
    """Wrap whatever sigstore-python and what it calls may raise."""
    try:
        yield
    except CasstoreError:
        raise
    except ImportError as exc:
        hint = 'pip install "casstore[keyless]"'
        raise SignerError("keyless signing needs sigstore-python, which is not installed", hint=hint) from exc
    except Exception as exc:  # the door: HTTP, TUF, OIDC and pydantic errors, some with no message
        raise SignerError(
            f"{what}: {_one_line(exc)}", hint="check the identity token, its audience, and that the services answer"
        ) from exc


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:300] or type(exc).__name__
