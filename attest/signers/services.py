"""Talking to the services that signing needs: bounded in time and size, one error for whatever goes wrong.

Promises: a service that is down, slow, or answers nonsense ends in one `ServiceUnavailable` or
`SignerError` that names it; no redirect is followed (the network guard was asked for this host, not
for another). Leaves to others: whether an answer is true (`keyless`, `log_entries`, `time_stamps`).

    post("https://log.example/api/v1/log/entries", body, kind="application/json", network=guard)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from attest.core import deadlines
from attest.errors import CasstoreError, NotInstalled, ServiceUnavailable, SignerError, VerificationError
from attest.signers import NetworkGuard

PATIENCE = 30.0
"""Seconds until a service that does not answer is given up."""
LONGEST = 60.0
"""Seconds in which an answer must be whole."""
MAX_ANSWER = 4 * 1024 * 1024


def post(url: str, body: bytes, *, kind: str, network: NetworkGuard | None) -> bytes:
    """The body of the answer. Raises ServiceUnavailable, SignerError where the service refuses."""
    import http.client
    import urllib.error
    import urllib.request

    if network is not None:
        network.check(url)
    headers = {"Content-Type": kind, "Accept": "*/*", "User-Agent": "casstore"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - checked below
    if request.type not in ("http", "https"):
        raise SignerError(f"{url[:80]}: not an http or https URL")

    def asked() -> bytes:
        with urllib.request.build_opener(_no_redirect()).open(request, timeout=PATIENCE) as answer:
            data: bytes = answer.read(MAX_ANSWER + 1)
            return data

    try:
        data = deadlines.within(LONGEST, asked)
    except urllib.error.HTTPError as exc:
        raise _refused(url, exc.code, _said(exc)) from exc
    except (OSError, ValueError, http.client.HTTPException) as exc:
        raise _unavailable(url, exc) from exc
    if len(data) > MAX_ANSWER:
        raise SignerError(f"{url[:80]}: answered more than {MAX_ANSWER} bytes")
    return data


def limit_patience(*sessions: Any) -> None:
    """Give up waiting after PATIENCE seconds in these sessions of `requests`: sigstore-python sets no limit."""
    from requests.adapters import HTTPAdapter

    class Impatient(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs["timeout"] = kwargs.get("timeout") or PATIENCE
            return super().send(request, *args, **kwargs)

    for session in sessions:
        if session is not None:
            session.max_redirects = 0
            for scheme in ("http://", "https://"):
                session.mount(scheme, Impatient())


@contextmanager
def door(what: str) -> Iterator[None]:
    """Wrap whatever sigstore-python and the libraries that it calls may raise."""
    try:
        yield
    except VerificationError as exc:
        raise SignerError(f"{what}: {exc.message}", hint=exc.hint) from exc
    except CasstoreError:
        raise
    except ImportError as exc:
        raise NotInstalled("keyless signing needs sigstore-python, which is not installed") from exc
    except Exception as exc:  # the door: HTTP, TUF, OIDC and pydantic errors, some with no message
        if _is_connection(exc):
            raise ServiceUnavailable(f"{what}: {reason(exc)}", hint="nothing was signed: run it again later") from exc
        raise SignerError(
            f"{what}: {reason(exc)}", hint="check the identity token, its audience, and that the services answer"
        ) from exc


def reason(exc: BaseException) -> str:
    """The first words in a chain of errors: some of sigstore's have none of their own."""
    seen: BaseException | None = exc
    texts: list[str] = []
    while seen is not None and len(texts) < 8:
        answer = getattr(getattr(seen, "response", None), "text", "") or ""
        texts.append(f"{seen} {answer[:200]}".strip())
        seen = seen.__cause__ or seen.__context__
    found = next((text for text in texts if text), type(exc).__name__)
    return " ".join(found.split())[:300]


def _is_connection(exc: BaseException | None) -> bool:
    """Whether the service was not reached, or broke down (status 5xx)."""
    while exc is not None:
        status = getattr(getattr(exc, "response", None), "status_code", 0)
        if isinstance(exc, ConnectionError | TimeoutError) or status >= 500:
            return True
        if type(exc).__module__ == "requests.exceptions" and type(exc).__name__ in _UNREACHED:
            return True
        exc = exc.__cause__ or exc.__context__
    return False


_UNREACHED = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "Timeout", "SSLError", "ChunkedEncodingError")


def _no_redirect() -> Any:
    import urllib.request

    class Refuse(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> NoReturn:
            raise SignerError("a signing service redirects elsewhere", hint="name its present URL")

    return Refuse


def _said(answer: Any) -> bytes:
    """The beginning of a refusal's text, as far as it comes."""
    import http.client

    try:
        text: bytes = answer.read(300)
    except (OSError, ValueError, http.client.HTTPException):
        return b""
    return text


def _refused(url: str, status: int, body: bytes) -> SignerError:
    text = " ".join(body.decode(errors="replace").split())
    if status >= 500:
        return ServiceUnavailable(f"{url[:80]}: status {status} {text}", hint="nothing was signed: run it again later")
    return SignerError(f"{url[:80]}: refused with status {status} {text}")


def _unavailable(url: str, exc: Exception) -> ServiceUnavailable:
    detail = " ".join(str(exc).split())[:200] or type(exc).__name__
    return ServiceUnavailable(f"{url[:80]}: {detail}", hint="nothing was signed: run it again later")
