"""How often whole commands ask a bucket: one pack a command, nothing read back, a pack's table by one request."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.counted_bucket import Proxy
from tests.support.servers import bucket

pytestmark = pytest.mark.server
NAMES = [f"part{number:02}" for number in range(30)]


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    (tmp_path / "data").mkdir()
    with bucket("localbucket", tmp_path / "data") as endpoint, Proxy(endpoint, delay=0) as made:
        yield made


class Project:
    """A project folder, and machines that work in it."""

    def __init__(self, folder: Path, proxy: Proxy) -> None:
        self.folder, self.proxy = folder, proxy
        for name in NAMES:
            (folder / "project" / name).mkdir(parents=True)
            for number in range(3):
                (folder / "project" / name / f"{number}").write_bytes(os.urandom(2000))
        components = "".join(f'[components.{name}]\ninclude = ["{name}/**"]\n' for name in NAMES)
        text = f'[store]\nurl = "s3://bucket/store?endpoint={proxy.url}"\n{components}[channels.dev]\napprovals = 0\n'
        (folder / "project" / "casstore.toml").write_text(text)
        self.run("ann", "keys", "generate", "key.pem", "--no-passphrase")
        self.run("ann", "init", "--key", "key.pem")

    def run(self, home: str, *words: str) -> list[tuple[str, str]]:
        """What one command by the machine of this name asked for."""
        self.proxy.take()
        (self.folder / home).mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        secrets = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            cwd=self.folder / "project",
            env={**kept, **secrets, "HOME": str(self.folder / home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return self.proxy.take()


def test_put_and_channel(tmp_path: Path, proxy: Proxy) -> None:
    project = Project(tmp_path, proxy)
    put = ("put", "--all", "--release-version", "1.0.0", "--key", "key.pem")
    asked = project.run("ann", *put)
    assert [method for method, path in asked if "/packs/" in path].count("PUT") == 1
    assert len(asked) <= 8
    assert not [path for method, path in project.run("ann", *put) if method == "PUT"], "nothing is told twice"
    assert len(project.run("bob", "channel")) <= 8
    assert not [path for method, path in project.run("carol", *put) if method == "PUT"], "nor by a new machine"


def test_a_new_machine_sends_nothing_that_the_store_has(tmp_path: Path, proxy: Proxy) -> None:
    """What a component's put has brought, and what a plain put has, which no entry names."""
    project = Project(tmp_path, proxy)
    project.run("ann", "put", "--all", "--release-version", "1.0.0", "--key", "key.pem")
    (tmp_path / "project" / "other").mkdir()
    (tmp_path / "project" / "other" / "file").write_bytes(os.urandom(2000))
    assert [method for method, _ in project.run("ann", "put", "./other")].count("PUT") == 1
    for home in ("bob", "bob"):
        asked = project.run(home, "put", "./other", "./part00")
        assert not [path for method, path in asked if method == "PUT"]
    assert len(asked) <= 4, "a second time little is asked"
