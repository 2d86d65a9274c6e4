"""`scheme://bucket/prefix?option=value`, taken apart; and the host that the network policy is asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from attest.core.values import dataclass
from attest.errors import BadInput
from casstore.errors import PolicyViolation

if TYPE_CHECKING:
    from casstore.network.network import NetworkGuard


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket (or container), the prefix of all keys in it, and options of the URL."""

    url: str
    bucket: str
    prefix: str
    options: dict[str, str]


def check_form(url: str) -> None:
    """Raises BadInput for a URL from which no host and port can be read."""
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError as exc:
        raise BadInput(f"not a URL: its host or port cannot be read: {exc}") from exc


def parse(url: str, known_options: frozenset[str]) -> Location:
    """URL to location. Raises BadInput; credentials are never taken from a URL."""
    parts = urlsplit(url)
    if "@" in parts.netloc or ":" in parts.netloc or not parts.netloc or parts.fragment:
        raise BadInput(
            f"not a bucket URL: {parts.scheme}://{parts.hostname or ''}{parts.path}",
            hint="write s3://bucket/prefix; credentials come from the environment",
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := options.keys() - known_options:
        raise BadInput(f"{url}: unknown option {min(unknown)!r}", hint=f"known: {', '.join(sorted(known_options))}")
    return Location(url, parts.netloc, parts.path.strip("/"), options)


def name(network: NetworkGuard | None, url: str) -> None:
    """Before any client exists: a store that a person named may be reached, but not offline. Raises PolicyViolation."""
    allow(None if network is None else network.named(url), url)


def allow(network: NetworkGuard | None, url: str) -> None:
    """Ask the network policy, before any client exists. Raises PolicyViolation."""
    if network is None:
        raise PolicyViolation(
            f"{url}: no network policy was given, so nothing remote is opened",
            hint="pass a NetworkGuard; on the command line: [network] allow in casstore.toml",
        )
    network.check(url)


def allow_metadata(network: NetworkGuard | None, url: str, metadata: str, variable: str) -> None:
    """Without credentials a client asks the machine's metadata service: only where that is allowed."""
    try:
        allow(network, metadata)
    except PolicyViolation as exc:
        host = metadata.partition("://")[2]
        raise PolicyViolation(
            f"{url.partition('?')[0]}: there are no credentials: {variable} is not set",
            hint=f'set it; on a machine whose role is to be used, add "{host}" to [network] allow in casstore.toml',
        ) from exc
