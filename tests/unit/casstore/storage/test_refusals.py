"""What a bucket refuses is one clear line with the right exit code, whoever speaks to it.

A missing bucket and an endpoint that is down are tried on a real server. Credentials and regions are checked by none
of those that run on loopback: there a server gives the answers that S3, Azure and Google document.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from attest.errors import BadInput, CasstoreError
from casstore.errors import PolicyViolation
from casstore.network.network import NetworkGuard
from casstore.storage import open_storage
from casstore.store.store import Store
from tests.support.servers import bucket

CLIENTS = ["", "&client=fsspec"]
FORBIDDEN = 403
GUARD = NetworkGuard(["127.0.0.1", "nowhere.invalid"])
ANSWERS = {
    "region named": (400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>", 12, "in the region eu-west-3"),
    "region": (400, "IllegalLocationConstraintException", "", 12, "in another region"),
    "key": (403, "InvalidAccessKeyId", "", 12, "refuses these credentials: InvalidAccessKeyId"),
    "secret": (403, "SignatureDoesNotMatch", "", 12, "refuses these credentials: SignatureDoesNotMatch"),
    "rights": (403, "AccessDenied", "", 12, "refuses these credentials: AccessDenied"),
    "expired": (400, "ExpiredToken", "", 12, "refuses these credentials: ExpiredToken"),
    "clock": (403, "RequestTimeTooSkewed", "", 12, "clock shows another time"),
    "bucket": (404, "NoSuchBucket", "", 8, "there is no bucket or container 'bucket'"),
    "container": (404, "ContainerNotFound", "", 8, "there is no bucket or container 'bucket'"),
}


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def refused(url: str) -> CasstoreError:
    """What opening a store there ends with; one line each, and no word of a client's inside."""
    with pytest.raises(CasstoreError) as told:
        Store.open(url, network=GUARD)
    with pytest.raises(CasstoreError) as made:
        Store.init(url, network=GUARD)
    assert made.value.exit_code == told.value.exit_code
    assert "fsspec" in url or made.value.message == told.value.message
    for text in (told.value.message, told.value.hint):
        assert text and "\n" not in text and len(text) < 200
        assert "Debug" not in text and "<" not in text and "http error" not in text.lower()
    return told.value


def needs(client: str) -> None:
    pytest.importorskip("s3fs" if client else "obstore")


@pytest.mark.server
@pytest.mark.parametrize("client", CLIENTS)
def test_a_missing_bucket_and_a_server_that_is_gone(tmp_path: Path, client: str) -> None:
    needs(client)
    with bucket("localbucket", tmp_path) as endpoint:
        told = refused(f"s3://nobucket/x?endpoint={endpoint}{client}")
        assert (told.exit_code, told.message) == (8, "s3://nobucket/x: there is no bucket or container 'nobucket'")
        with pytest.raises(CasstoreError, match="there is no store here"):
            Store.open(f"s3://bucket/x?endpoint={endpoint}{client}", network=GUARD)
    with pytest.raises(CasstoreError, match=r"does not answer: (connection refused|no connection)") as gone:
        Store.open(f"s3://bucket/x?endpoint={endpoint}{client}", network=GUARD)
    assert gone.value.exit_code == 12
    assert endpoint.partition("://")[2] in gone.value.message


def test_a_host_that_there_is_not() -> None:
    needs("")
    with pytest.raises(CasstoreError, match=r"nowhere\.invalid does not answer: no such host") as told:
        Store.open("s3://bucket/x?endpoint=http://nowhere.invalid", network=GUARD)
    assert told.value.exit_code == 12


class Answers(BaseHTTPRequestHandler):
    """Always the same answer."""

    protocol_version = "HTTP/1.1"
    status, body = 500, b""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(self.status)
        self.send_header("content-type", "application/xml")
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815  the names of http.server

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", ANSWERS)
def test_documented_answers(case: str, client: str, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(client)
    status, code, more, exit_code, told = ANSWERS[case]
    monkeypatch.setattr(Answers, "status", status)
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>of a server</Message>{more}</Error>"
    monkeypatch.setattr(Answers, "body", body.encode())
    if client and status == FORBIDDEN:  # it asks about a name first, and such an answer says no more
        told = "refuses these credentials"
    found = refused(f"s3://bucket/x?endpoint={server}{client}")
    assert (found.exit_code, told in found.message) == (exit_code, True), found.message


@pytest.mark.parametrize("case", ["container", "rights"])
def test_a_container_of_azure(case: str, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("")
    status, code, _, exit_code, told = ANSWERS[case]
    monkeypatch.setattr(Answers, "status", status)
    monkeypatch.setattr(Answers, "body", f"<Error><Code>{code}</Code></Error>".encode())
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "aGVsbG8=")
    found = refused(f"az://bucket/x?account=team&endpoint={server}/team")
    assert (found.exit_code, told in found.message) == (exit_code, True), found.message


def test_keys_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "no base64!")
    with pytest.raises(BadInput, match="credentials in the environment cannot be used") as azure:
        open_storage("az://bucket/x?account=team", network=GUARD)
    assert "AZURE_STORAGE_ACCOUNT_KEY" in azure.value.hint and "\n" not in azure.value.message
    (tmp_path / "bad.json").write_text("{")
    for path, told in ((tmp_path / "missing.json", "missing.json"), (tmp_path / "bad.json", "decode")):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        with pytest.raises(BadInput, match=told) as google:
            open_storage("gs://bucket/x", network=GUARD)
        assert "GOOGLE_APPLICATION_CREDENTIALS" in google.value.hint and "\n" not in google.value.message


@pytest.mark.parametrize(
    ("url", "variable", "metadata"),
    [
        ("s3://bucket/x", "AWS_ACCESS_KEY_ID", "169.254.169.254"),
        ("az://bucket/x?account=team", "AZURE_STORAGE_ACCOUNT_KEY", "169.254.169.254"),
        ("gs://bucket/x", "GOOGLE_APPLICATION_CREDENTIALS", "metadata.google.internal"),
    ],
)
def test_without_credentials_no_metadata_service_is_asked(
    url: str, variable: str, metadata: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(PolicyViolation, match=f"{variable} is not set") as told:
        open_storage(url, network=GUARD)
    assert metadata in told.value.hint
    assert open_storage(url, network=NetworkGuard([metadata])).url == url
