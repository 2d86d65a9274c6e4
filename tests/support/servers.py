"""Servers of buckets on loopback, each a real process that is ended with the test.

`localbucket` and `ministack` (each from PyPI, in an environment of its own) and `azurite-blob` (the npm package
azurite) are looked for on PATH; CASSTORE_TEST_SERVERS may name more folders with programs, separated as in PATH.
Where there is none the test is skipped.

    with bucket("localbucket", tmp_path) as url:        # the bucket is named "bucket"
        ...
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

_PATH = os.pathsep.join([os.environ.get("CASSTORE_TEST_SERVERS", ""), os.environ.get("PATH", "")])


def _start(name: str, port: int, folder: Path) -> subprocess.Popen[bytes]:
    program = shutil.which(name, path=_PATH)
    if program is None:
        pytest.skip(f"no {name} is installed: requirements/test-servers.txt has it")
    argv = [program, "--port", str(port), str(folder)] if name == "localbucket" else [program]
    environment = {**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    return subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _make_bucket(url: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(urllib.request.Request(f"{url}/bucket", method="PUT"), timeout=5)
            return
        except urllib.error.HTTPError as exc:
            if exc.code == 409:
                return
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail("the server does not answer")


@contextlib.contextmanager
def bucket(name: str, folder: Path) -> Iterator[str]:
    """The URL of a server that keeps its bucket in this folder."""
    port = _free_port()
    process = _start(name, port, folder)
    url = f"http://127.0.0.1:{port}"
    try:
        _make_bucket(url)
        yield url
    finally:
        process.terminate()
        process.wait(20)


ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own, which everybody knows."""


@contextlib.contextmanager
def container(folder: Path) -> Iterator[str]:
    """The endpoint of an Azurite that keeps its container, named "bucket", in this folder."""
    program = shutil.which("azurite-blob", path=_PATH)
    if program is None:
        pytest.skip("no azurite is installed")
    port = _free_port()
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
    argv = [program, *options, "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    folder.mkdir()
    process = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    try:
        _make_container(endpoint)
        yield endpoint
    finally:
        process.terminate()
        process.wait(20)


def _make_container(endpoint: str) -> None:
    for _ in range(200):
        fields = {"x-ms-date": f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S GMT}", "x-ms-version": "2021-08-06"}
        named = "".join(f"{name}:{value}\n" for name, value in fields.items())
        signed = "PUT" + "\n" * 12 + named + f"/{ACCOUNT}/{ACCOUNT}/bucket\nrestype:container"
        mac = hmac.new(base64.b64decode(ACCOUNT_KEY), signed.encode(), hashlib.sha256).digest()
        fields["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}"
        request = urllib.request.Request(f"{endpoint}/bucket?restype=container", method="PUT", headers=fields)
        try:
            urllib.request.urlopen(request, timeout=5)
            return
        except urllib.error.HTTPError as exc:
            pytest.fail(f"no container can be made: {exc}")
        except OSError:
            time.sleep(0.1)
    pytest.fail("the server does not answer")
