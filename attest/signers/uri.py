"""`hsm:`, `awskms:`, `gcpkms:`, `azurekms:`, `hv:`: keys that stay in their device or service.

securesystemslib does the talking; each scheme needs its extra. The public key is asked of the
device when the signer is opened, so that no second file has to be kept beside the URI. Each
service's host is put to the network guard before securesystemslib may open a connection.

    hsm:2?label=release    awskms:KEY_ID    gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/V
    azurekms://VAULT/KEY   hv:KEY_NAME      (the services' own settings and credentials come from their environment)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attest.core.values import dataclass
from attest.errors import BadInput, CasstoreError, NotInstalled, SignerError
from attest.keys import keys
from attest.keys.keys import PublicKey
from attest.signers import NetworkGuard, Signer
from attest.signers.memory import seal
from attest.statements.envelopes import pae
from attest.statements.statements import PAYLOAD_TYPE

_Import = tuple[str, Any]
"""securesystemslib's own URI and public key object."""


@dataclass(frozen=True, slots=True)
class UriSigner:
    """Signs through securesystemslib; the private key never comes here."""

    backend: Any = field(repr=False)
    public: PublicKey = field(repr=False)

    @property
    def identity(self) -> str:
        """`key:sha256:<hex>`: the same as if the key were in a file."""
        return keys.identity_of(self.public)

    @property
    def public_pem(self) -> bytes:
        """The public key in PEM."""
        return keys.public_to_pem(self.public)

    def sign_statement(self, payload: bytes) -> bytes:
        """Statement bytes to bundle bytes."""
        return seal(payload, self.sign_bytes(pae(PAYLOAD_TYPE, payload)), keys.public_to_der(self.public))

    def sign_bytes(self, data: bytes) -> bytes:
        """The raw signature, verified before it is handed on: a device may hold another key than it shows."""
        try:
            signature = keys.low_s(bytes.fromhex(self.backend.sign(data).signature))
        except CasstoreError:
            raise
        except Exception as exc:  # the door: PKCS#11, cloud and network errors of five libraries
            raise SignerError(
                f"the key device or service did not sign: {_one_line(exc)}",
                hint="check its PIN or credentials, and that the key may be used for signing",
            ) from exc
        keys.verify_signature(self.public, signature, data)
        return signature

    def as_securesystemslib(self) -> Any:
        """The securesystemslib signer itself."""
        return self.backend


def open_uri(
    uri: str,
    *,
    read: Callable[[str], bytes],  # noqa: ARG001 - every backend is called alike
    password: Callable[[], bytes | None],
    network: NetworkGuard | None,
) -> Signer:
    """Open the device or service and fetch the public key. Raises SignerError, NotInstalled."""
    scheme, _, rest = uri.partition(":")
    try:
        urlsplit(f"{scheme}:{rest}")
    except ValueError as exc:
        raise BadInput(f"not a key URI of the scheme {scheme}: {exc}") from exc
    opener, host = _OPENERS[scheme.lower()]
    if network is not None and (name := host(rest)) is not None:
        network.check(name)
    secret = _secret(password)
    from securesystemslib import exceptions, signer

    try:
        native_uri, native_key = opener(signer, rest, secret)
        backend = signer.Signer.from_priv_key_uri(native_uri, native_key, secret)  # type: ignore[attr-defined]
    except CasstoreError:
        raise
    except exceptions.UnsupportedLibraryError as exc:
        raise NotInstalled(f"{uri[:80]}: its library is not installed: {_one_line(exc)}") from exc
    except Exception as exc:  # the door: PKCS#11, cloud and network errors of five libraries
        hint = f"the scheme {scheme}: needs its settings and its credentials"
        raise SignerError(f"{uri[:80]}: {_one_line(exc)}", hint=hint) from exc
    return UriSigner(backend, _public(native_key, uri))


def _public(native_key: Any, uri: str) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    text = native_key.keyval["public"]
    try:
        if native_key.keytype == "ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
        public = keys.public_from_pem(text.encode())
        keys.check_signs(public)
        return public
    except (CasstoreError, ValueError) as exc:
        raise SignerError(f"{uri[:80]}: {_one_line(exc)}", hint="a P-256 or Ed25519 key is needed") from exc


def _secret(password: Callable[[], bytes | None]) -> Callable[[str], str]:
    @cache  # a PIN is asked for once a session, not once a signature
    def ask(name: str) -> str:
        value = password()
        if value is None:
            raise SignerError(f"the key device asks for its {name}", hint="set CASSTORE_PASSWORD")
        return value.decode()

    return ask


def _hsm(signer: Any, rest: str, secret: Callable[[str], str]) -> _Import:
    parts = urlsplit("hsm:" + rest)
    label = parse_qs(parts.query).get("label", [None])[0]
    number = int(parts.path) if parts.path else None
    found: _Import = signer.HSMSigner.import_(number, label, secret)
    return found


def _awskms(signer: Any, rest: str, _secret: Callable[[str], str]) -> _Import:
    found: _Import = signer.AWSSigner.import_(rest, "ecdsa-sha2-nistp256")
    return found


def _gcpkms(signer: Any, rest: str, _secret: Callable[[str], str]) -> _Import:
    found: _Import = signer.GCPSigner.import_(rest)
    return found


def _azurekms(signer: Any, rest: str, _secret: Callable[[str], str]) -> _Import:
    parts = urlsplit("azurekms:" + rest)
    name = parts.path.strip("/")
    if not parts.netloc or not name:
        raise BadInput(f"azurekms:{rest[:80]}: a vault and a key are needed", hint="write azurekms://VAULT/KEY")
    vault = parts.netloc.removesuffix(".vault.azure.net")
    found: _Import = signer.AzureSigner.import_(vault, name)
    return found


def _hv(signer: Any, rest: str, _secret: Callable[[str], str]) -> _Import:
    found: _Import = signer.VaultSigner.import_(rest)
    return found


def _no_host(_rest: str) -> str | None:
    return None


def _aws_host(rest: str) -> str:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_KMS") or os.environ.get("AWS_ENDPOINT_URL")
    in_arn = rest.split(":")[3] if rest.startswith("arn:") and rest.count(":") >= 4 else ""
    region = in_arn or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return endpoint or f"kms.{region}.amazonaws.com"


def _gcp_host(_rest: str) -> str:
    return "cloudkms.googleapis.com"


def _azure_host(rest: str) -> str:
    name = urlsplit("azurekms:" + rest).netloc
    return name if name.endswith(".vault.azure.net") else f"{name}.vault.azure.net"


def _vault_host(_rest: str) -> str:
    return os.environ.get("VAULT_ADDR", "http://localhost:8200")


_OPENERS: dict[str, tuple[Callable[[Any, str, Callable[[str], str]], _Import], Callable[[str], str | None]]] = {
    "hsm": (_hsm, _no_host),
    "awskms": (_awskms, _aws_host),
    "gcpkms": (_gcpkms, _gcp_host),
    "azurekms": (_azurekms, _azure_host),
    "hv": (_hv, _vault_host),
}


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200] or type(exc).__name__
