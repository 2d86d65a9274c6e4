"""A small JSON client for forges: one host, no redirects, bounded in time, size and tries; tokens are never told."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import IO, Any
from urllib.parse import urlsplit

from attest.core.values import dataclass
from attest.errors import BadInput, FormatError, PolicyDenied
from casstore.errors import NoSuchObject, StorageUnavailable
from casstore.network import circuit
from casstore.network.network import NetworkGuard

_MAX_ANSWER = 4 * 1024 * 1024
_PIECE = 64 * 1024
_TRIES = 2
_REFUSED = (401, 403)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is meant for one host; whoever sends it elsewhere is not followed."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Client:
    """Asks one API."""

    api: str
    headers: Mapping[str, str]
    guard: NetworkGuard

    def get(self, path: str) -> Any:
        """The JSON at a path. Raises NoSuchObject (404), PolicyDenied (401, 403), StorageUnavailable, FormatError."""
        url = f"{self.api}/{path}"
        self.guard.check(url)
        host = urlsplit(url).netloc
        for left in reversed(range(_TRIES)):
            try:
                return _parsed(circuit.OUTSIDE.call(host, lambda seconds: self._once(url, seconds)), url)
            except StorageUnavailable:
                if not left:
                    raise
        raise AssertionError

    def _once(self, url: str, seconds: float) -> bytes:
        if not url.startswith(("https://", "http://")):
            raise BadInput(f"{url}: no http address")
        headers = {"User-Agent": "casstore", "Accept": "application/json", **self.headers}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  http only, see above
        try:
            opener = urllib.request.build_opener(_NoRedirects)
            with opener.open(request, timeout=seconds) as reply:
                data = _read(reply, url, time.monotonic() + seconds)
        except urllib.error.HTTPError as exc:
            exc.close()
            raise _of_status(exc.code, url) from exc
        except (OSError, HTTPException, ValueError) as exc:
            raise StorageUnavailable(f"{url}: {exc}", hint="is the forge up? try again later") from exc
        return data


def _read(reply: IO[bytes], url: str, until: float) -> bytes:
    """The whole answer, in time: a server may send a byte now and then for ever."""
    pieces, size = [], 0
    while piece := reply.read1(_PIECE):  # type: ignore[attr-defined]
        pieces.append(piece)
        size += len(piece)
        if size > _MAX_ANSWER:
            raise FormatError(f"{url}: answers with more than {_MAX_ANSWER} bytes")
        if time.monotonic() > until:
            raise StorageUnavailable(f"{url}: did not answer whole in time", hint="try again later")
    return b"".join(pieces)


def _of_status(code: int, url: str) -> Exception:
    if code == 404:
        return NoSuchObject(f"{url}: the forge answers 404")
    if code in _REFUSED:
        return PolicyDenied(f"{url}: the forge answers {code}", hint="may the token read this repository?")
    if 300 <= code < 400:
        return FormatError(f"{url}: leads elsewhere ({code}); not followed", hint="write the address that it leads to")
    return StorageUnavailable(f"{url}: the forge answers {code}", hint="try again later")


def _parsed(data: bytes, url: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise FormatError(f"{url}: answers with something that is no JSON") from exc


def field(value: Any, *keys: str) -> Any:
    """A value inside of nested objects; None where something on the way is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def names(value: Any, key: str | None = None) -> frozenset[str]:
    """The texts of a list, or those under a key of its objects."""
    rows = value if isinstance(value, list) else []
    found = [field(row, key) if key else row for row in rows]
    return frozenset(name for name in found if isinstance(name, str))
