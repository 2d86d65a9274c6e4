"""What a bucket is asked for: requests and seconds of whole commands, with a request taking 25 ms.

    python benchmarks/bench_bucket.py [--delay 0.025] [--puts 60] [--server localbucket | --endpoint URL] [--kinds]
    python benchmarks/bench_bucket.py --components 2000         # a store in a folder

| row | what is done |
|---|---|
| put, 200 components | `put --all` of 1,000 files in 200 components into an empty store |
| the same again | from this machine, and from one that knows nothing yet (an empty home) |
| channel | `channel`, by a machine that knows nothing yet; then by one that knows it |
| a line of N puts | `put` of two components, one of which never changes, N times; then `channel` by a new machine |
| put of a folder | `put FOLDER` of 1,000 files by a new machine, when the store has them all |
| release, promote | of those 200 components as one product; by a machine that knows nothing yet |
| `--components` | `put --all` of so many components of three files in a folder: first, unchanged, as the next version |

A proxy on loopback counts what each command asks of a server of S3 (`localbucket`, looked for as the tests do) and
holds each request for the delay. `--kinds` tells which requests.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from counted_bucket import Proxy  # noqa: E402
from servers import bucket  # noqa: E402

COMPONENTS = 200
FILES = 5


class Machine:
    """Somebody's computer: a home of its own."""

    def __init__(self, folder: Path, proxy: Proxy, kinds: bool) -> None:
        self.folder, self._proxy, self._kinds = folder, proxy, kinds
        self._home = 0
        self.new()

    def new(self) -> None:
        """From now on a machine that knows nothing."""
        self._home += 1
        (self.folder / f"home{self._home}").mkdir()

    def run(self, *words: str, rows: str = "") -> None:
        """One command in the project's folder; `rows` names it in the table."""
        home = str(self.folder / f"home{self._home}")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        environment |= {
            "HOME": home,
            "PYTHONPATH": str(ROOT),
            "AWS_ACCESS_KEY_ID": os.environ.get("AWS_ACCESS_KEY_ID", "test"),
            "AWS_SECRET_ACCESS_KEY": os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
        }
        self._proxy.take()
        began = time.perf_counter()
        argv = [sys.executable, "-m", "cli.main", *words]
        done = subprocess.run(argv, cwd=self.folder / "project", env=environment, capture_output=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{words}: {done.returncode}\n{done.stderr.decode()[-2000:]}")
        if rows:
            asked = self._proxy.take()
            print(f"| {rows} | {len(asked)} | {seconds:.1f} |", flush=True)
            if self._kinds:
                for kind, count in Counter(_kind(*one) for one in asked).most_common():
                    print(f"    {count:6} {kind}", flush=True)


def _kind(method: str, path: str) -> str:
    return f"{method} {re.sub('[0-9a-f]{64}|[0-9]{20}|[0-9a-f]{16,32}|(?<=packs/)[0-9a-f]{2}', 'N', path)}"


def toml(url: str, names: list[str]) -> str:
    """A configuration in which each of these folders is a component."""
    components = "".join(f'[components.{name}]\ninclude = ["{name}/**"]\n' for name in names)
    products = f'[products.all]\ncomponents = {names!r}\nformat = "tar.gz"\n'.replace("'", '"')
    return f'[store]\nurl = "{url}"\n{components}{products}[channels.dev]\napprovals = 0\n'


def project(folder: Path, url: str, names: list[str]) -> None:
    """Components with files of their own."""
    shutil.rmtree(folder / "project", ignore_errors=True)
    for name in names:
        inside = folder / "project" / name
        inside.mkdir(parents=True)
        for number in range(FILES):
            (inside / f"{number}.bin").write_bytes(os.urandom(600) * 4)
    (folder / "project" / "casstore.toml").write_text(toml(url, names))


def started(machine: Machine, url: str, names: list[str]) -> None:
    """A store with a ledger in which one key has every role."""
    machine.new()
    project(machine.folder, url, names)
    machine.run("keys", "generate", "key.pem", "--no-passphrase")
    machine.run("init", "--key", "key.pem")


def many_components(machine: Machine, place: str) -> None:
    """One put of 200 components."""
    started(machine, place, [f"part{number:03}" for number in range(COMPONENTS)])
    put = ("put", "--all", "--release-version", "1.0.0", "--key", "key.pem")
    machine.run(*put, rows=f"put of {COMPONENTS * FILES:,} files in {COMPONENTS} components")
    machine.run(*put, rows="the same again")
    machine.new()
    machine.run(*put, rows="the same again, by a new machine")
    machine.new()
    machine.run("channel", rows="channel, by a new machine")
    machine.run("channel", rows="channel again")
    machine.new()
    machine.run("release", "1.0.0", "--out", "dist", "--key", "key.pem", rows="release of them, by a new machine")
    machine.new()
    machine.run("promote", "1.0.0", "--to", "dev", "--key", "key.pem", rows="promote, by a new machine")


def many_puts(machine: Machine, place: str, count: int) -> None:
    """A line of puts."""
    started(machine, place, ["same", "other"])
    for number in range(count):
        (machine.folder / "project" / "other" / "0.bin").write_bytes(os.urandom(2000))
        told = "put of two components, one unchanged" if number == count - 1 else ""
        machine.run("put", "--all", "--release-version", f"1.0.{number}", "--key", "key.pem", rows=told)
    machine.new()
    machine.run("channel", rows=f"channel after {count} puts, by a new machine")
    machine.new()
    machine.run(
        *("put", "--all", "--release-version", f"1.0.{count}", "--key", "key.pem"),
        rows=f"put after {count} puts, all known, by a new machine",
    )


def one_folder(machine: Machine, place: str) -> None:
    """A folder, again by a machine that knows nothing."""
    started(machine, place, ["one"])
    folder = machine.folder / "project" / "folder"
    for number in range(1000):
        path = folder / f"{number // 50:02}" / f"{number % 50:02}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(600) * 4)
    machine.run("put", "./folder", rows="put of a folder of 1,000 files")
    machine.new()
    machine.run("put", "./folder", rows="the same folder, by a new machine")


def components(folder: Path, count: int) -> None:
    """Many components in a folder."""
    print(f"| {count:,} components in a folder | requests | s |\n|---|---|---|", flush=True)
    with Proxy("http://127.0.0.1:1", delay=0) as proxy:
        machine = Machine(folder, proxy, kinds=False)
        started(machine, "./store", [f"part{number:05}" for number in range(count)])
        time.sleep(3)  # files are older than the clock's grain by now
        put = ("put", "--all", "--key", "key.pem", "--release-version")
        machine.run(*put, "1.0.0", rows="first")
        machine.run(*put, "1.0.0", rows="unchanged")
        machine.run(*put, "1.0.1", rows="unchanged, as the next version")


def main() -> None:
    """All rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=0.025)
    parser.add_argument("--puts", type=int, default=60)
    parser.add_argument("--server", default="localbucket")
    parser.add_argument("--endpoint", help="a server that runs, with a bucket named `bucket`")
    parser.add_argument("--kinds", action="store_true")
    parser.add_argument("--components", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.components:
            components(folder, given.components)
        elif given.endpoint:
            measured(folder, given.endpoint, given)
        else:
            (folder / "data").mkdir()
            with bucket(given.server, folder / "data") as endpoint:
                measured(folder, endpoint, given)


def measured(folder: Path, endpoint: str, given: argparse.Namespace) -> None:
    """The table."""
    with Proxy(endpoint, delay=given.delay) as proxy:
        machine = Machine(folder, proxy, given.kinds)
        run = os.urandom(4).hex()
        print(f"| {given.delay * 1000:.0f} ms a request | requests | s |\n|---|---|---|", flush=True)
        many_components(machine, f"s3://bucket/{run}-components?endpoint={proxy.url}")
        many_puts(machine, f"s3://bucket/{run}-line?endpoint={proxy.url}", given.puts)
        one_folder(machine, f"s3://bucket/{run}-folder?endpoint={proxy.url}")


if __name__ == "__main__":
    main()
