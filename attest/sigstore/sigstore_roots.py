"""A sigstore trusted root: per instance its logs, its authorities for certificates and for time stamps.

Promises: reads `trusted_root.json`, and the form with one instance a line that `gh attestation trusted-root`
prints; a part counts only inside its validity window, a closed interval, and a part without a start is never
used. Leaves to others: chains and signatures (`certificates`, `time_stamps`, `log_proofs`).

    (instance,) = parse(raw).instances
    instance.log(key_id, [signed_at])          # TrustError unless a log with this id was valid then

Source: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from attest import canonical
from attest.core import times
from attest.core.values import dataclass
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
MAX_INSTANCES = 16


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
class CertificateAuthority:
    """Who makes signing certificates: the intermediates first, the root last, all in DER."""

    uri: str
    chain: tuple[bytes, ...]
    window: Window


@dataclass(frozen=True, slots=True)
class Instance:
    """What an instance's owners publish of their keys. Where it names no logs, a time stamp is enough."""

    logs: tuple[Log, ...]
    stamp_authorities: tuple[StampAuthority, ...]
    authorities: tuple[CertificateAuthority, ...] = ()
    certificate_logs: tuple[Log, ...] = ()
    asks_log: bool = False
    """Whether it names transparency logs, usable or not: then an entry is demanded."""
    asks_promise: bool = False
    """Whether it names certificate logs: then each certificate must bear one's promise."""

    @property
    def told(self) -> str:
        """For people: who it is, and what it asks for."""
        names = sorted({authority.uri for authority in self.authorities}) or ["no certificate authority"]
        return f"{', '.join(names)}: {'log entry' if self.asks_log else 'time stamp, no log'}"

    def certificate_log(self, key_id: bytes, moments: Sequence[datetime]) -> Log:
        """The certificate log with this id that was valid at all these moments. Raises TrustError."""
        return _one_log(self.certificate_logs, "certificate log", key_id, moments)

    def knows_log(self, key_id: bytes) -> bool:
        """Whether a log with this id is named at all."""
        return any(log.key_id == key_id for log in self.logs)

    def log(self, key_id: bytes, moments: Sequence[datetime]) -> Log:
        """The log with this id that was valid at all these moments. Raises TrustError."""
        return _one_log(self.logs, "transparency log", key_id, moments)


def _one_log(logs: Sequence[Log], what: str, key_id: bytes, moments: Sequence[datetime]) -> Log:
    for log in logs:
        if log.key_id == key_id and log.window.holds(moments):
            return log
    when = f" that was valid at {times.format(min(moments))}" if moments else ""
    raise TrustError(
        f"the sigstore trusted root has no {what} {key_id.hex()[:16]}{when}",
        hint="give the trusted_root.json of the instance that signed it; a newer one may name the part",
    )


@dataclass(frozen=True, slots=True)
class SigstoreRoot:
    """The instances that count; the parts of two are never mixed."""

    instances: tuple[Instance, ...]


@lru_cache(maxsize=8)
def parse(raw: bytes) -> SigstoreRoot:
    """Bytes to root. Raises FormatError; a part with a key that we do not take is left out."""
    if len(raw) > MAX_ROOT:
        raise FormatError(f"sigstore trusted root: {len(raw)} bytes, more than the limit of {MAX_ROOT}")
    lines = [line for line in raw.split(b"\n") if line.strip()]
    documents = lines if len(lines) > 1 and all(line.strip().endswith(b"}") for line in lines) else [raw]
    if len(documents) > MAX_INSTANCES:
        raise FormatError(f"sigstore trusted root: {len(documents)} instances, at most {MAX_INSTANCES} are taken")
    instances = tuple(_instance(document) for document in documents)
    chains = [
        authority.chain for instance in instances for authority in {a.chain: a for a in instance.authorities}.values()
    ]
    if len(set(chains)) != len(chains):
        raise FormatError("sigstore trusted root: two instances name the same certificate authority")
    return SigstoreRoot(instances)


def _instance(raw: bytes) -> Instance:
    value = canonical.loads_object(raw, what="sigstore trusted root", max_bytes=MAX_ROOT)
    if not str(value.get("mediaType", "")).startswith("application/vnd.dev.sigstore.trustedroot"):
        raise FormatError("sigstore trusted root: the mediaType is another", hint="a trusted_root.json is wanted")
    stamping = [_stamp_authority(part) for part in _parts(value, "timestampAuthorities")]
    authorities = [_authority(part) for part in _parts(value, "certificateAuthorities")]
    return Instance(
        _logs(value, "tlogs"),
        tuple(a for a in stamping if a is not None),
        tuple(a for a in authorities if a is not None),
        _logs(value, "ctlogs"),
        bool(_parts(value, "tlogs")),
        bool(_parts(value, "ctlogs")),
    )


def _logs(value: Mapping[str, Any], name: str) -> tuple[Log, ...]:
    return tuple(log for log in map(_log, _parts(value, name)) if log is not None)


def packaged(instance: str) -> bytes:
    """The trusted_root.json of `production` or `staging` that came with sigstore-python. Raises BadInput."""
    from importlib import resources

    try:
        return resources.files("sigstore").joinpath("_store", INSTANCES[instance], "trusted_root.json").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as exc:
        hint = "give --trusted-root FILE; what brings sigstore's own: casstore help installing"
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


def _stamp_authority(part: Mapping[str, Any]) -> StampAuthority | None:
    chain, window = _chain(part), _window(part)
    return None if window is None or len(chain) < 2 else StampAuthority(chain, window)


def _authority(part: Mapping[str, Any]) -> CertificateAuthority | None:
    chain, window = _chain(part), _window(part)
    return None if window is None or not chain else CertificateAuthority(str(part.get("uri", ""))[:200], chain, window)


def _chain(part: Mapping[str, Any]) -> tuple[bytes, ...]:
    certificates = _parts(_object(part, "certChain"), "certificates")
    return tuple(decode_base64(c.get("rawBytes"), "sigstore trusted root: rawBytes") for c in certificates)


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
