"""What a line's history costs: each journey beside 100, 1,000 and 10,000 entries, and beside 100 products.

    python benchmarks/bench_line.py [--entries 100 1000 10000] [--products 1 10 100] [--versions 200] [--folder DIR]

| table | what is done |
|---|---|
| entries | a product of three components, one of which never changes, put, released, moved into dev and prod and sealed
until the ledger has so many entries (made in one process, without their commands); then the commands |
| products | so many products of 20 components each, put as one statement with others beside it |
| versions | one process a command, so many versions of two tiny products, each published: bytes of the destination |

Each command is a process of its own; wall and CPU milliseconds, peak memory, bytes that the destination grew by.
"First" is the first command of a machine that has an empty home folder and no index.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import harness

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]


from attest.digests import Digest  # noqa: E402
from attest.signers import Signer, open_signer  # noqa: E402
from attest.statements import statements  # noqa: E402
from attest.statements.predicates import approval, promotion, slsa_provenance  # noqa: E402
from attest.statements.predicates import release as releases  # noqa: E402
from attest.trust import origins  # noqa: E402
from bundlers import formats  # noqa: E402
from bundlers.products.checksums import to_bytes  # noqa: E402
from bundlers.products.manifest_building import build  # noqa: E402
from bundlers.products.product_manifests import ComponentTree  # noqa: E402
from bundlers.products.reader import ProductReader  # noqa: E402
from casstore.ledger import sealing  # noqa: E402
from casstore.ledger.book.log import Ledger  # noqa: E402
from casstore.ledger.entries import Entry, EntryKind  # noqa: E402
from casstore.ledger.folding import replay, replay_all  # noqa: E402
from casstore.ledger.release_diffs import release_diff  # noqa: E402
from casstore.ledger.release_objects import Release, ReleaseArchive, ReleaseBuild  # noqa: E402
from casstore.objects.kinds import Kind, NewObject  # noqa: E402
from casstore.objects.tree import TreeEntry  # noqa: E402
from casstore.store.store import Store  # noqa: E402

COMMAND = f"{sys.executable} -m cli.main"
EPOCH = 1_700_000_000
THREE = {"app": ["a", "b", "same"]}
CYCLE = 7
"""So many entries a release: its components, itself, dev, an approval, prod, and what a scanner said; a seal."""
HEAD = """\
[store]
url = "./store"
[gates]
seal = {}
[channels.dev]
approvals = 0
[channels.prod]
from = "dev"
approvals = 1
separate_duties = false
require = ["slsa-provenance"]
[destinations.public]
url = "./public"
"""


@dataclass
class Line:
    """A project with one key that may do everything, and one handle on its store."""

    folder: Path
    products: dict[str, list[str]]
    moves: dict[str, tuple[Digest | None, Digest | None]] = field(default_factory=dict)
    """Channel -> its last move and release."""

    def __post_init__(self) -> None:
        self.env = {
            **os.environ,
            "HOME": str(self.folder / "home"),
            "PYTHONPATH": str(ROOT),
            "CASSTORE_KEY": str(self.folder / "key.pem"),
        }
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "CASSTORE_STORE", "PYTHONDONTWRITEBYTECODE"):
            self.env.pop(name, None)
            os.environ.pop(name, None)

    def begin(self) -> None:
        """The project, its key and an empty store."""
        text = HEAD
        for product, components in self.products.items():
            for name in components:
                (self.folder / name).mkdir()
                (self.folder / name / name).write_bytes(name.encode() * 100)
                text += f'[components.{name}]\nroot = "{name}"\ninclude = ["**"]\n'
            text += f'[products.{product}]\ncomponents = {components!r}\nformat = "tar.gz"\n'
        (self.folder / "casstore.toml").write_text(text)
        self.run("keys generate key.pem --no-passphrase --algorithm ed25519")
        self.run("init --key key.pem")

    def run(self, words: str) -> harness.Timing:
        """A command in the project's folder."""
        return harness.run(f"{COMMAND} {words}", cwd=str(self.folder), env=self.env)

    def change(self, name: str, content: str) -> None:
        """A component's only file."""
        (self.folder / name / name).write_text(content)

    def open(self) -> None:
        """For `grow`: everything in this process."""
        os.environ.update(HOME=self.env["HOME"])
        self.store = Store.open(str(self.folder / "store"))
        self.ledger = Ledger(self.store)
        self.signer: Signer = open_signer(
            "key.pem", read=lambda name: (self.folder / name).read_bytes(), password=lambda: None
        )
        self.now = datetime.now(UTC).replace(microsecond=0)
        state = replay(self.ledger, self.store)
        self.root = state.require_trust_root().digest
        for name, found in state.channels.items():
            self.moves[name] = (found.move, found.release)

    def sign(self, subjects: dict[str, Digest], kind: str, predicate: object) -> bytes:
        """One statement."""
        return self.signer.sign_statement(statements.of_digests(subjects, kind, predicate).to_bytes())  # type: ignore[arg-type]

    def keep(self, raw: bytes, subjects: dict[str, Digest]) -> Digest:
        """One attestation."""
        return self.store.put_many([NewObject(raw, Kind.ATTESTATION, tuple(sorted(set(subjects.values()))))])[0]

    def append(self, kind: EntryKind, digest: Digest, channel: str | None = None) -> Entry:
        """An entry that nobody judges before the fold does."""
        return self.ledger.append(kind, digest, channel=channel, now=self.now)

    def provenance(self, subjects: dict[str, Digest], **parameters: str) -> Digest:
        """Signed and kept."""
        claim = slsa_provenance.Provenance(
            slsa_provenance.PUT,
            parameters,
            origins.own_builder(self.signer.identity),
            started_on=self.now,
            finished_on=self.now,
        )
        return self.keep(self.sign(subjects, slsa_provenance.TYPE, claim.to_json()), subjects)

    def put(self, version: str, contents: dict[str, str]) -> dict[str, Digest]:
        """Trees, their provenance as one statement, and the entry."""
        trees = {}
        for name, content in contents.items():
            data = content.encode()
            path = name.encode()
            found = {path: TreeEntry(path, "file", 0o644, len(data), self.store.put_bytes(data))}
            trees[name] = self.store.build_tree(found)
        self.append(EntryKind.COMPONENT, self.provenance(trees, releaseVersion=version))
        return trees

    def ship(self, version: str, contents: dict[str, str]) -> Release:
        """A release of all products."""
        trees = self.put(version, contents)
        builds, archives, evidence = {}, {}, []
        for product, names in self.products.items():
            suffix = "tar.gz"
            parts = {name: ComponentTree(trees[name], time=EPOCH) for name in names}
            manifest = build(self.store, product, suffix, parts)
            out = io.BytesIO()
            info = formats.write(manifest, ProductReader(self.store, manifest), out)
            self.store.put_bytes(out.getvalue())
            archive = ReleaseArchive(f"{product}-{version}.{suffix}", info.digest, info.size)
            builds[product] = ReleaseBuild(suffix, archive, self.store.put_bytes(manifest.to_bytes()))
            archives[archive.name] = archive.digest
            evidence.append(self.provenance({archive.name: archive.digest}))
        made = Release(
            store=self.store.store_id,
            ledger="main",
            version=version,
            epoch=EPOCH,
            components=trees,
            builds=builds,
            checksums=self.store.put_bytes(to_bytes(archives)),
            evidence=tuple(sorted(evidence)),
        )
        self.store.put_bytes(made.to_bytes())
        claim = releases.ReleaseClaim(releases.purl_of("main", version))
        subjects = {"release": made.digest, **made.archives}
        self.append(EntryKind.RELEASE, self.keep(self.sign(subjects, releases.TYPE, claim.to_json()), subjects))
        return made

    def approve(self, made: Release, channel: str) -> Digest:
        """One approval, handed in."""
        move, before = self.moves.get(channel, (None, None))
        diff = release_diff(self.store, before, made.digest)
        claim = approval.Approval(
            self.store.store_id,
            "main",
            "promote",
            channel,
            move,
            diff.digest,
            self.now + timedelta(days=7),
            os.urandom(16).hex(),
        )
        digest = self.keep(
            self.sign({"release": made.digest}, approval.TYPE, claim.to_json()), {"release": made.digest}
        )
        self.append(EntryKind.EVIDENCE, digest)
        return digest

    def promote(self, made: Release, channel: str, *evidence: Digest) -> None:
        """A move by its closed evidence."""
        claim = promotion.Promotion(
            self.store.store_id,
            "main",
            "promote",
            channel,
            self.moves.get(channel, (None, None))[0],
            made.version,
            self.now,
            self.root,
            tuple(sorted({*evidence, *made.evidence})),
        )
        subjects = {"release": made.digest}
        digest = self.keep(self.sign(subjects, promotion.TYPE, claim.to_json()), subjects)
        entry = self.append(EntryKind(claim.action), digest, channel)
        self.moves[channel] = (entry.digest, made.digest)

    def grow(self, count: int) -> None:
        """Until the ledger has so many entries."""
        while (tip := self.ledger.tip()) is not None and tip.number + CYCLE < count:
            number = tip.number
            contents = {"a": f"a {number}", "b": f"b {number}", "same": "the same"}
            made = self.ship(f"1.0.{number}", contents)
            self.promote(made, "dev")
            self.promote(made, "prod", self.approve(made, "prod"))
            scan = self.sign({"release": made.digest}, "https://example.org/scan/v1", {"found": 0, "number": number})
            self.append(EntryKind.EVIDENCE, self.keep(scan, {"release": made.digest}))
            sealing.seal(self.store, self.ledger, signer=self.signer, now=self.now)

    def close(self) -> None:
        """Other processes come next."""
        self.store.close()
        del self.store, self.ledger


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def row(what: str, timing: harness.Timing, grew: int | None = None) -> None:
    """One line of the table."""
    size = "" if grew is None else f"{grew / 1024:,.0f}"
    print(f"| {what} | {timing.wall * 1000:,.0f} | {timing.cpu * 1000:,.0f} | {timing.peak:.0f} | {size} |", flush=True)


def table(title: str) -> None:
    """Its head."""
    print(f"\n### {title}\n\n| journey | wall ms | CPU ms | peak MiB | KiB |\n|" + "---|" * 5, flush=True)


def entries(folder: str | None, counts: Sequence[int]) -> None:
    """Growth with the number of entries."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        line = Line(Path(place), THREE)
        line.begin()
        for count in counts:
            told = subprocess.run(
                [sys.executable, __file__, "--grow", place, str(count)], check=True, capture_output=True, text=True
            )
            grown, fold = map(float, told.stdout.split())
            print(f"\ngrown to {count:,} entries in {grown:.0f} s of CPU", flush=True)
            journeys(line, count, fold)


def grow(place: str, count: int) -> None:
    """In a process of its own, whose memory is none of the commands'; prints what it took, and what a fold takes."""
    line = Line(Path(place), THREE)
    line.open()
    line.grow(count)
    grown = time.process_time()
    state = replay_all(line.ledger, line.store)
    print(grown, time.process_time() - grown)
    line.close()
    if state.void:
        raise RuntimeError(f"void: {list(state.void)[:3]}")


def journeys(line: Line, count: int, fold: float) -> None:
    """Each command of one more release."""
    public = line.folder / "public"
    table(f"{count:,} entries")
    print(f"| fold of all, nothing believed | | {fold * 1000:,.0f} | | |", flush=True)
    shutil.rmtree(line.folder / "home", ignore_errors=True)
    for index in line.folder.glob("store/*index*"):
        shutil.rmtree(index, ignore_errors=True)
    row("channel, first", line.run("channel"))
    version = f"2.0.{count}"
    for name in ("a", "b"):
        line.change(name, f"{name} {version}")
    line.change("same", "the same")
    row("put --all", line.run(f"put --all --release-version {version}"))
    row("release", line.run(f"release {version}"))
    row("channel", line.run("channel"))
    row("promote dev", line.run(f"promote {version} --to dev"))
    row("explain", line.run(f"explain {version} --to prod || true"))
    row("approve", line.run(f"approve {version} --channel prod"))
    row("promote prod", line.run(f"promote {version} --to prod"))
    before = size_of(public) if public.exists() else 0
    row("publish, first", line.run("publish prod --to public --clock-checked"), size_of(public) - before)
    line.change("a", f"a again {version}")
    line.run(f"put --all --release-version {version}b")
    line.run(f"release {version}b")
    line.run(f"promote {version}b --to dev")
    line.run(f"approve {version}b --channel prod")
    line.run(f"promote {version}b --to prod")
    before = size_of(public)
    row("publish", line.run("publish prod --to public --clock-checked"), size_of(public) - before)
    row("verify", line.run("verify public --channel prod"))
    row("rehearse", line.run("rehearse prod"))
    row("audit prod", line.run("audit prod || true"))
    row("status", line.run("status"))
    row("channel log", line.run("channel log prod"))
    row("ledger verify", line.run("ledger verify"))
    row("export a kit", line.run(f"export {version}b kit.tar --channel prod"), os.path.getsize(line.folder / "kit.tar"))
    os.unlink(line.folder / "kit.tar")


def products(folder: str | None, counts: Sequence[int]) -> None:
    """Growth with the number of products."""
    for count in counts:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            made = {f"p{n}": [f"p{n}-c{m}" for m in range(20)] for n in range(count)}
            line = Line(Path(place), made)
            line.begin()
            table(f"{count} products of 20 components")
            row("put --all", line.run("put --all --release-version 1.0"))
            row("put --all, the same for another version", line.run("put --all --release-version 1.1"))
            row("put --all again", line.run("put --all --release-version 1.1"))
            row("release", line.run("release 1.1"))
            row("promote dev", line.run("promote 1.1 --to dev"))
            row("explain", line.run("explain 1.1 --to prod || true"))
            row("approve", line.run("approve 1.1 --channel prod"))
            row("promote prod", line.run("promote 1.1 --to prod"))
            public = line.folder / "public"
            row("publish", line.run("publish prod --to public --clock-checked"), size_of(public))
            row("verify one product", line.run("verify public --channel prod --product p0"))
            row("install one product", line.run("install p0 --from public --channel prod --into installed"))
            row("audit prod", line.run("audit prod || true"))
            row("channel", line.run("channel"))


def versions(folder: str | None, count: int) -> None:
    """Bytes of a destination."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        line = Line(Path(place), {"one": ["a"], "two": ["b"]})
        line.begin()
        public = line.folder / "public"
        table(f"{count} versions of two tiny products, each published")
        for number in range(1, count + 1):
            line.change("a", f"a {number}")
            line.run(f"put --all --release-version 1.{number}")
            line.run(f"release 1.{number}")
            line.run(f"promote 1.{number} --to dev")
            before = size_of(public) if public.exists() else 0
            timing = line.run("publish dev --to public --clock-checked")
            if number in (1, 2, 10, 50, 100, 200, count):
                row(f"publish {number}, all {size_of(public) / 1024:,.0f} KiB", timing, size_of(public) - before)


def main() -> None:
    """Print the tables for RESULTS.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--products", type=int, nargs="*", default=[1, 10, 100])
    parser.add_argument("--versions", type=int, default=200)
    parser.add_argument("--folder")
    parser.add_argument("--grow", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.grow:
        grow(given.grow[0], int(given.grow[1]))
        return
    print(harness.machine())
    if given.entries:
        entries(given.folder, given.entries)
    if given.products:
        products(given.folder, given.products)
    if given.versions:
        versions(given.folder, given.versions)


if __name__ == "__main__":
    main()
