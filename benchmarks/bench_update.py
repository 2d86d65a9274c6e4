"""How many bytes an update fetches, beside zsync and casync, over four releases of real packages.

    python benchmarks/bench_update.py WORK

Needs pip with a registry, and Debian's zsync and casync. Ours: the pieces that hold files which the release before has
not, and their list. zsync: what it says that it fetched of the new archive, the one before as seed, and its .zsync
file. casync: the chunks of the new tree that the one before has not, as they lie in its store, and the new index.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import itertools
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from attest.digests import sha256
from benchmarks import corpora
from bundlers import formats
from bundlers.formats import pieces
from bundlers.installing import partial
from bundlers.products.manifest_building import build
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from bundlers.products.reader import ProductReader
from casstore.store.store import Store

LINES = {
    "django": [f"django==5.1.{n}" for n in (1, 2, 3, 4)],
    "ansible": [f"ansible=={n}" for n in ("10.5.0", "10.6.0", "10.7.0", "11.0.0")],
    "botocore": [f"botocore=={n}" for n in ("1.35.50", "1.35.55", "1.35.60", "1.35.65")],
    "duckdb": [f"duckdb==1.1.{n}" for n in (0, 1, 2, 3)],
}
KINDS = ("tar.gz", "tar.zst", "zip")


def main() -> None:
    """Print one line a line of releases and format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work")
    parser.add_argument("--only", choices=LINES)
    arguments = parser.parse_args()
    work = Path(arguments.work).absolute()
    print(f"{'':9} {'format':8} {'archives':>10} {'updates':>10}   of it   zsync  casync")
    for name, packages in LINES.items():
        if arguments.only in (None, name):
            one_line(name, packages, work / name)


def one_line(name: str, packages: list[str], work: Path) -> None:
    """Three updates, summed up."""
    trees = [work / str(number) for number in range(len(packages))]
    (work / "wheels").mkdir(parents=True, exist_ok=True)
    for tree, package in zip(trees, packages, strict=True):
        if not tree.exists():
            corpora.unpacked(str(tree), package, str(work / "wheels"))
    chunks = casync(trees, work)
    url = str(work / "store")
    with Store.open(url) if os.path.exists(url) else Store.init(url) as store:
        for kind in KINDS:
            made = [archive(store, tree, kind, work / f"{tree.name}.{kind}") for tree in trees]
            sizes = sum(os.path.getsize(path) for _, path in made[1:])
            ours = sum(update(before, after) for before, after in itertools.pairwise(made))
            theirs = zsync([path for _, path in made], work)
            shares = "  ".join(f"{one / sizes:6.1%}" for one in (ours, theirs, chunks))
            print(f"{name:9} {kind:8} {sizes:>10} {ours:>10}  {shares}", flush=True)


def archive(store: Store, tree: Path, kind: str, path: Path) -> tuple[ProductManifest, Path]:
    """A product of one tree."""
    put = store.put_tree(str(tree)).tree
    manifest = build(store, "core", kind, {"core": ComponentTree(put, time=1_700_000_000)})
    with path.open("wb") as out:
        formats.write(manifest, ProductReader(store, manifest), out)
    return manifest, path


def update(before: tuple[ProductManifest, Path], after: tuple[ProductManifest, Path]) -> int:
    """The bytes that are fetched."""
    manifest, path = after
    size = path.stat().st_size
    with path.open("rb") as file:
        found = pieces.measure(manifest, file, sha256(b""))
    held = {one.digest: one.path for one in before[0].files if one.digest}
    plan = partial.plan_for(manifest, found, held, size) if found else None
    return size if plan is None or found is None else plan.bytes + len(found.to_bytes())


def zsync(paths: list[Path], work: Path) -> int:
    """Each archive by zsync, the one before as seed."""
    handler = functools.partial(Quiet, directory=str(work))
    fetched = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for before, after in itertools.pairwise(paths):
            control = after.with_name(f"{after.name}.zsync")
            subprocess.run(["zsyncmake", "-q", "-u", after.name, "-o", control, after], check=True, capture_output=True)
            url = f"http://127.0.0.1:{server.server_port}/{control.name}"
            out = work / "zsynced"
            out.unlink(missing_ok=True)
            command = ["zsync", "-i", str(before), "-o", str(out), url]
            said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=work).stdout
            match = re.search(r"fetched (\d+)", said)
            fetched += (int(match[1]) if match else after.stat().st_size) + control.stat().st_size
        server.shutdown()
    return fetched


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server with single ranges, which says nothing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Whole files and ranges."""
        data = Path(self.translate_path(self.path)).read_bytes()
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        rows = [tuple(map(int, one.split("-"))) for one in asked.split(",") if one] if asked else []
        if not rows:
            self.answer(200, data)
            return
        if len(rows) == 1:
            first, last = rows[0]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.body(data[first : last + 1])
            return
        body = b"".join(
            f"\r\n--x\r\nContent-Type: a/b\r\nContent-Range: bytes {first}-{last}/{len(data)}\r\n\r\n".encode()
            + data[first : last + 1]
            for first, last in rows
        )
        self.send_response(206)
        self.send_header("Content-Type", "multipart/byteranges; boundary=x")
        self.body(body + b"\r\n--x--\r\n")

    def answer(self, code: int, data: bytes) -> None:
        """A status, and a body."""
        self.send_response(code)
        self.body(data)

    def body(self, data: bytes) -> None:
        """Its length, and the bytes."""
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def casync(trees: list[Path], work: Path) -> int:
    """Chunks that the store has not yet, release by release, and the indexes."""
    total = 0
    shutil.rmtree(work / "chunks", ignore_errors=True)
    for number, tree in enumerate(trees):
        index, store = work / f"{number}.caidx", work / "chunks"
        before = stored(store)
        command = ["casync", "make", "--without=all", f"--store={store}", str(index), str(tree)]
        subprocess.run(command, check=True, capture_output=True)
        if number:
            total += stored(store) - before + index.stat().st_size
    return total


def stored(folder: Path) -> int:
    """Bytes of all chunks."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
