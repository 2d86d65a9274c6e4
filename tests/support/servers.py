"""S3 servers on loopback, each a real process that is ended with the test.

`localbucket` and `ministack` (each from PyPI, in an environment of its own) are looked for on
PATH; CASSTORE_TEST_SERVERS may name more folders with programs. Where there is none the test is skipped.

    with bucket("localbucket", tmp_path) as url:        # the bucket is named "bucket"
        ...
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

_PATH = os.pathsep.join([os.environ.get("CASSTORE_TEST_SERVERS", ""), os.environ.get("PATH", "")])


def _start(name: str, port: int, folder: Path) -> subprocess.Popen[bytes]:
    program = shutil.which(name, path=_PATH)
    if program is None:
        pytest.skip(f"no {name} is installed: pip install {name}")
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
