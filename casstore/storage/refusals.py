"""What a bucket's server answers in many words, as one line: no such bucket, another region, wrong credentials, nobody.

Servers and clients word it differently, the codes of S3, Azure and Google are few. What is not known here is left
to the create loop, which looks whether the bytes are there.

    refused(exc, "s3://bucket/prefix")          # NoSuchStore, NotWritable, StorageUnavailable, or None
    unreachable(exc, "s3://bucket/prefix")      # StorageUnavailable: nobody answers; or None
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from attest.errors import BadInput, CasstoreError
from casstore.errors import NoSuchStore, NotWritable, StorageUnavailable

_DEPTH = 8
_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|[Tt]he specified (?:bucket|container) does not exist")
_REGION = re.compile(
    r"AuthorizationHeaderMalformed|PermanentRedirect|redirect without LOCATION|IllegalLocationConstraint"
    r"|InvalidRegion|region '[^']*' is wrong"
)
_RIGHT_REGION = re.compile(
    r"<Region>([a-z0-9-]+)</Region>|'Region': '([a-z0-9-]+)'"
    r"|expecting '([a-z0-9-]+)'|'x-amz-bucket-region': '([a-z0-9-]+)'"
)
_CLOCK = re.compile(r"RequestTimeTooSkewed")
_CREDENTIALS = re.compile(
    r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|ExpiredToken|InvalidToken|TokenRefreshRequired"
    r"|AuthenticationFailed|AuthorizationFailure|InvalidAuthenticationInfo|invalid_grant"
    r"|NoCredentials|Unable to locate credentials"
)
_STATUS = re.compile(r"403 Forbidden|401 Unauthorized|Forbidden|Unauthorized")
_CAUSES = (
    (re.compile(r"dns error|failed to lookup|[Nn]ame or service not known|nodename nor servname"), "no such host"),
    (re.compile(r"[Cc]onnection refused|os error 111|os error 61|Connect call failed"), "connection refused"),
    (re.compile(r"timed? ?out|deadline"), "no answer in time"),
    (re.compile(r"certificate|[Ii]nvalid peer|CERTIFICATE"), "its certificate is not trusted"),
    (re.compile(r"error sending request|[Cc]ould not connect|EndpointConnectionError|Cannot connect"), "no connection"),
)


def refused(exc: BaseException, url: str) -> CasstoreError | None:
    """A certain refusal: trying once more changes nothing."""
    text = _text(exc)
    for pattern, named in _REFUSALS:
        if found := pattern.search(text):
            return named(url, found[0], text)
    return None


def unreachable(exc: BaseException, url: str) -> StorageUnavailable | None:
    """Nobody answered, in whatever way."""
    text = _text(exc)
    for pattern, why in _CAUSES:
        if pattern.search(text):
            hint = "is the address right, the network there, the server up? Then run it again"
            return StorageUnavailable(f"{shown(url)}: {_host(url, text)} does not answer: {why}", hint=hint)
    return None


@contextmanager
def opening(url: str, variables: str) -> Iterator[None]:
    """While a client is made of what stands in the environment. Raises BadInput."""
    try:
        yield
    except CasstoreError:
        raise
    except Exception as exc:  # each client has its own roots
        told = re.sub(r"^Generic \w+ error: ", "", " ".join(str(exc).partition("Debug source")[0].split()))
        raise BadInput(
            f"{shown(url)}: the credentials in the environment cannot be used: {told[:200]}", hint=f"check {variables}"
        ) from exc


def shown(url: str) -> str:
    """Without options."""
    return url.partition("?")[0]


def _no_bucket(url: str, _found: str, _text: str) -> CasstoreError:
    name = urlsplit(url).netloc
    hint = "make it first (casstore makes no buckets), or check its name, the account and the endpoint"
    return NoSuchStore(f"{shown(url)}: there is no bucket or container {name!r}", hint=hint)


def _other_region(url: str, _found: str, text: str) -> CasstoreError:
    right = _RIGHT_REGION.search(text)
    where = next((name for name in right.groups() if name), "") if right else ""
    named = f"in the region {where}" if where else "in another region"
    return StorageUnavailable(
        f"{shown(url)}: the bucket lies {named}", hint=f"set AWS_REGION, or write ?region={where or '...'} in the URL"
    )


def _other_time(url: str, _found: str, _text: str) -> CasstoreError:
    return StorageUnavailable(f"{shown(url)}: the bucket's clock shows another time", hint="set this machine's clock")


def _no_rights(url: str, found: str, _text: str) -> CasstoreError:
    return NotWritable(
        f"{shown(url)}: the bucket refuses these credentials: {found}",
        hint="check the credentials in the environment and their rights on the bucket (read, write, list)",
    )


_REFUSALS: tuple[tuple[re.Pattern[str], Callable[[str, str, str], CasstoreError]], ...] = (
    (_BUCKET, _no_bucket),
    (_REGION, _other_region),
    (_CLOCK, _other_time),
    (_CREDENTIALS, _no_rights),
    (_STATUS, _no_rights),
)


def _text(exc: BaseException) -> str:
    """Of the error and of those that led to it."""
    told: list[str] = []
    one: BaseException | None = exc
    while one is not None and len(told) < _DEPTH:
        told.append(f"{type(one).__name__} {one} {getattr(one, 'response', '')}")
        one = one.__cause__ or one.__context__
    return " ".join(told)


def _host(url: str, text: str) -> str:
    tried = re.search(r"https?://([^/\s\"'?]+)", text)
    return tried[1] if tried else urlsplit(url).netloc
