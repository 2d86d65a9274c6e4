"""Each writing command, really killed at many moments, then run again: it finishes, nothing is lost or half-visible."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CASSTORE = [sys.executable, "-m", "cli.main"]
KILLS = int(os.environ.get("CASSTORE_KILLS", "1"))
CONFIG = """\
[store]
url = "./store"
[components.a]
include = ["**"]
root = "a"
[components.b]
include = ["**"]
root = "b"
[products.one]
components = ["a"]
format = "tar.gz"
[products.two]
components = ["b"]
format = "zip"
[gates]
seal = {}
[channels.dev]
approvals = 0
[destinations.public]
url = "./public"
"""


class Line:
    """A small release line in a folder, driven by real processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "HOME": str(folder), "CASSTORE_KEY": "key.pem"}
        self.environment.pop("XDG_STATE_HOME", None)
        randomness = random.Random(7)
        (folder / "casstore.toml").write_text(CONFIG)
        for component in "ab":
            for number in range(300):
                path = folder / component / f"d{number % 7}" / f"{number}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(randomness.randbytes(randomness.randrange(1, 20_000)))
        self.must("keys", "generate", "key.pem", "--no-passphrase", "--algorithm", "ed25519")
        self.must("init", "--key", "key.pem")

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*CASSTORE, *args], cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def must(self, *args: str) -> str:
        done = self.run(*args)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def seconds(self, *args: str) -> float:
        began = time.monotonic()
        self.must(*args)
        return time.monotonic() - began

    def kill_after(self, seconds: float, *args: str) -> None:
        process = subprocess.Popen(
            [*CASSTORE, *args],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def whole(self) -> None:
        """The store is whole, no entry is void."""
        assert self.must("fsck").startswith("whole")
        self.must("ledger", "verify")


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_put_release_promote_publish_install(line: Line) -> None:
    steps = [
        ["put", "--all", "--release-version", "{v}"],
        ["release", "{v}", "--out", "dist/{v}"],
        ["promote", "{v}", "--to", "dev"],
        ["publish", "dev", "--to", "public"],
        ["install", "one", "--from", "./public", "--channel", "dev", "--into", "installed"],
    ]
    randomness = random.Random(11)
    took = [line.seconds(*(word.format(v="0") for word in step)) for step in steps]
    for round_number in range(1, KILLS + 1):
        (line.folder / "a" / "changed").write_text(f"round {round_number}")
        version = str(round_number)
        for step, seconds in zip(steps, took, strict=True):
            words = [word.format(v=version) for word in step]
            line.kill_after(randomness.uniform(0.05, seconds), *words)
            done = line.run(*words)
            if done.returncode == 9 and step[0] in ("put", "release"):
                continue  # the killed run had finished: put is closed by its release, the output folder is there
            assert done.returncode == 0, (words, done.stdout, done.stderr)
        line.whole()
        listed = json.loads(line.must("ls", "--json"))
        assert [row["version"] for row in listed["releases"]] == [str(n) for n in range(round_number + 1)]
        assert (line.folder / "installed" / "current" / "changed").read_text() == f"round {round_number}"
        hidden = [name for name in os.listdir(line.folder / "dist") if not name.startswith(".")]
        assert sorted(hidden, key=int) == [str(n) for n in range(round_number + 1)]
