"""What one product of very many small files costs: every journey from put to uninstall, in time and memory.

    python benchmarks/bench_files.py [--files 10000 100000 1000000] [--folder DIR]

So many files of some bytes each, in up to a thousand folders, are one component of one product, with the `seal` gate
alone. Each command is a process of its own; wall and CPU milliseconds, the peak memory of the largest process of it,
KiB of what it wrote where that is the question. A command that is refused stands there with its last line.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import bench_line
import harness
from bench_line import Line, size_of

_FOLDERS = 1_000


def main() -> None:
    """Print the tables for RESULTS.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder")
    given = parser.parse_args()
    print(harness.machine())
    for count in given.files:
        with tempfile.TemporaryDirectory(dir=given.folder) as place:
            line = Line(Path(place), {"app": ["files"]})
            line.begin()
            _write(line.folder / "files", count)
            bench_line.table(f"{count:,} files")
            journeys(line)


def journeys(line: Line) -> None:
    """One release from put to install, a second of which one file differs, and what looks after them."""
    public = line.folder / "public"
    consumer = line.folder / "consumer.toml"
    consumer.write_text('[products.app]\nfrom = "public"\nchannel = "prod"\ninto = "installed"\n')
    install = "install app --from public --channel prod --into installed"
    _row(line, "put --all", "put --all --release-version 1.0")
    _row(line, "put --all again", "put --all --release-version 1.0")
    _row(line, "ls", "ls files@1.0")
    _row(line, "release", "release 1.0 --out out")
    _row(line, "ls of the release", "ls 1.0/app")
    _row(line, "promote dev", "promote 1.0 --to dev")
    _row(line, "explain", "explain 1.0 --to prod || true")
    _row(line, "approve", "approve 1.0 --channel prod")
    _row(line, "promote prod", "promote 1.0 --to prod")
    _row(line, "publish", "publish prod --to public --clock-checked", public)
    _row(line, "verify", "verify public --channel prod")
    _row(line, "install", install)
    _row(line, "install again", install)
    _row(line, "install --verify-installed", "install --verify-installed --into installed")
    (line.folder / "files" / "d0" / "f0").write_bytes(b"another one\n")
    _row(line, "put --all, one file changed", "put --all --release-version 1.1")
    _row(line, "release, one file changed", "release 1.1")
    line.run("promote 1.1 --to dev")
    _row(line, "channel diff", "channel diff dev prod")
    _row(line, "approve, one file changed", "approve 1.1 --channel prod")
    _row(line, "promote prod, one file changed", "promote 1.1 --to prod")
    _row(line, "publish, one file changed", "publish prod --to public --clock-checked", public)
    _row(line, "update", "update --all --file consumer.toml")
    _row(line, "install --rollback", "install --rollback --into installed || true")
    _row(line, "uninstall", "uninstall --into installed --confirm")
    _row(line, "export a kit", "export 1.1 kit.tar --channel prod", line.folder / "kit.tar")
    _row(line, "verify the kit", "verify kit.tar")
    _row(line, "get", "get 1.1/app got")
    _row(line, "audit", "audit prod || true")
    _row(line, "rehearse", "rehearse prod || true")
    _row(line, "fsck", "fsck")
    _row(line, "gc", "gc")


def _row(line: Line, what: str, words: str, written: Path | None = None) -> None:
    before = _size(written)
    try:
        timing = line.run(words)
    except RuntimeError as exc:
        print(f"| {what} | | | | {str(exc).splitlines()[-1]} |", flush=True)
        return
    bench_line.row(what, timing, None if written is None else _size(written) - before)


def _size(path: Path | None) -> int:
    if path is None or not path.exists():
        return 0
    return size_of(path) if path.is_dir() else path.stat().st_size


def _write(folder: Path, count: int) -> None:
    """`count` files of some twenty bytes, no two the same."""
    (folder / "files").unlink()
    for number in range(min(count, _FOLDERS)):
        os.mkdir(folder / f"d{number}")
    for number in range(count):
        path = f"{folder}/d{number % _FOLDERS}/f{number // _FOLDERS}"
        with open(path, "wb") as file:
            file.write(b"this is file %d\n" % number)


if __name__ == "__main__":
    main()
