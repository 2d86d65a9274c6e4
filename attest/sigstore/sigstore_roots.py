"""A sigstore trusted root, as far as managed keys need it: the logs' keys and the stamping authorities.

Promises: reads `trusted_root.json` without sigstore-python (which keyless signatures need anyway and
managed keys must not); a part counts only inside its validity window, a closed interval, and a part
without a start is never used. Leaves to others: certificate authorities and certificate logs (`keyless`).

    root = parse(raw)
    root.log(key_id, [signed_at])          # TrustError unless a log with this id was valid then

Source: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from attest import canonical
from attest.core import times
from attest.errors import BadInput, CasstoreError, FormatError, TrustError
from attest.keys.keys import PublicKey, public_from_der
from attest.statements.envelopes import decode_base64

INSTANCES = {
    "production": "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev",
    "staging": "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev",
}
"""The public-good instances, whose trusted roots come inside the sigstore package."""

MAX_ROOT = 4 * 1024 * 1024
MAX_PARTS = 1024


@dataclass(frozen=True, slots=True)
class Window:
    """`validFor`: both ends are inside."""

    start: datetime
    end: datetime | None

    def holds(self, moments: Sequence[datetime]) -> bool:
        """Whether all moments are inside."""
        return all(self.start <= moment and (self.end is None or moment <= self.end) for moment in moments)


@dataclass(frozen=True, slots=True)
class Log:
    """A transparency log's key."""

    key_id: bytes
    public: PublicKey
    window: Window


@dataclass(frozen=True, slots=True)
class StampAuthority:
    """A time stamp authority: its certificate first, the root last, all in DER."""

    chain: tuple[bytes, ...]
    window: Window


@dataclass(frozen=True, slots=True)
class SigstoreRoot:
    """What an instance's owners publish about their log and time stamp keys."""

    logs: tuple[Log, ...]
    stamp_authorities: tuple[StampAuthority, ...]

    def knows_log(self, key_id: bytes) -> bool:
        """Whether a log with this id is named at all."""
        return any(log.key_id == key_id for log in self.logs)

    def log(self, key_id: bytes, moments: Sequence[datetime]) -> Log:
        """The log with this id that was valid at all these moments. Raises TrustError."""
        for log in self.logs:
            if log.key_id == key_id and log.window.holds(moments):
                return log
        when = f" that was valid at {times.format(min(moments))}" if moments else ""
        raise TrustError(
            f"the sigstore trusted root has no transparency log {key_id.hex()[:16]}{when}",
            hint="give the trusted_root.json of the instance that logged it",
        )


@lru_cache(maxsize=8)
def parse(raw: bytes) -> SigstoreRoot:
    """Bytes to root. Raises FormatError; a part with a key that we do not take is left out."""
    value = canonical.loads_object(raw, what="sigstore trusted root", max_bytes=MAX_ROOT)
    if not str(value.get("mediaType", "")).startswith("application/vnd.dev.sigstore.trustedroot"):
        raise FormatError("sigstore trusted root: the mediaType is another", hint="a trusted_root.json is wanted")
    logs = [_log(part) for part in _parts(value, "tlogs")]
    authorities = [_authority(part) for part in _parts(value, "timestampAuthorities")]
    return SigstoreRoot(tuple(log for log in logs if log is not None), tuple(a for a in authorities if a is not None))


def packaged(instance: str) -> bytes:
    """The trusted_root.json of `production` or `staging` that came with sigstore-python. Raises BadInput."""
    from importlib import resources

    try:
        return resources.files("sigstore").joinpath("_store", INSTANCES[instance], "trusted_root.json").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as exc:
        hint = 'give --trusted-root FILE, or pip install "casstore[keyless]"'
        raise BadInput(f"no trusted root of sigstore's {instance} instance is installed", hint=hint) from exc


def join_trust_config(root: bytes, signing_config: bytes) -> bytes:
    """The client trust config of a trusted root and a signing config that come as two files. Raises FormatError."""
    return canonical.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": canonical.loads_object(root, what="sigstore trusted root", max_bytes=MAX_ROOT),
            "signingConfig": canonical.loads_object(signing_config, what="signing config", max_bytes=MAX_ROOT),
        }
    )


def _parts(value: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = value.get(name) or []
    if not isinstance(found, list) or len(found) > MAX_PARTS or not all(isinstance(part, dict) for part in found):
        raise FormatError(f"sigstore trusted root: {name} is no list of parts")
    return found


def _log(part: Mapping[str, Any]) -> Log | None:
    key, log_id = _object(part, "publicKey"), _object(part, "logId")
    window = _window(key)
    try:
        public = public_from_der(decode_base64(key.get("rawBytes"), "sigstore trusted root: rawBytes"))
    except CasstoreError:
        return None  # a log by a key type that no entry of ours can have
    key_id = decode_base64(log_id.get("keyId"), "sigstore trusted root: keyId")
    return None if window is None else Log(key_id, public, window)


def _authority(part: Mapping[str, Any]) -> StampAuthority | None:
    certificates = _parts(_object(part, "certChain"), "certificates")
    chain = tuple(decode_base64(c.get("rawBytes"), "sigstore trusted root: rawBytes") for c in certificates)
    window = _window(part)
    return None if window is None or len(chain) < 2 else StampAuthority(chain, window)


def _window(part: Mapping[str, Any]) -> Window | None:
    found = part.get("validFor")
    if not isinstance(found, dict) or "start" not in found:
        return None
    return Window(_time(found["start"]), _time(found["end"]) if found.get("end") else None)


def _time(text: object) -> datetime:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError as exc:
        raise FormatError(f"sigstore trusted root: not a time: {str(text)[:60]!r}") from exc
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _object(part: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = part.get(name)
    if not isinstance(found, dict):
        raise FormatError(f"sigstore trusted root: {name} is no object")
    return found
