"""What TUF's lists of targets cost, as a destination grows: bytes that a publication writes, and that a consumer reads.

    python benchmarks/bench_lists.py [--published 10 100] [--listed 10 100 1000] [--all-in-one]

| table | what is done |
|---|---|
| published | in one process, so many versions of two tiny products, each published; `verify` counts what it reads |
| listed | no store: the lists of so many publications of such versions, made and signed; no publication is revoked |

"Written" is the mean of the last eight publications, "roles" what older roles took a publication in the mean of all.
"First" is a consumer who is new, "update" one who saw the publication before (where nothing is published, the mean of
the last eight); "an old release" is what a stock client fetches for all files of one of the middle.
`--all-in-one` lists everything in `targets.json`, as before there were older roles.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import harness
from bench_line import Line

from attest.digests import hex_of, sha256
from attest.keys import keys
from attest.signers import from_private_key
from attest.statements.predicates.publication import Publication, PublishedRole, PublishedTarget
from bundlers.consuming.readers import FolderReader
from bundlers.consuming.service import TrustSettings, verify
from bundlers.publishing.layout import older_lists, tuf_lists, tuf_repository
from bundlers.publishing.layout.destinations import DestinationSettings
from bundlers.publishing.layout.older_lists import STEP, Part
from bundlers.publishing.layout.target_lists import since
from bundlers.publishing.layout.tuf_lists import OlderRoles
from bundlers.publishing.layout.tuf_repository import TargetInfo, TufSigners
from bundlers.publishing.publication import PublishSigners, publish_to

NOW = datetime.now(UTC).replace(microsecond=0)
HEAD = "| versions | written | of it roles, in the mean of all | largest file | first | update | an old release |"
SHOWN = ("channels/dev.json", "channels/dev.objects.tar", "channels/dev.state.tar", "files/index.json")
ALWAYS = (*SHOWN, "ledger/checkpoint", "ledger/proof.json", "trust-root/1.json")


def published(counts: Sequence[int]) -> None:
    """From end to end."""
    with tempfile.TemporaryDirectory() as place:
        line = Line(Path(place), {"one": ["a"], "two": ["b"]})
        line.begin()
        line.open()
        public, known = line.folder / "public", TrustSettings(str(line.folder / "known"))
        settings, signers = DestinationSettings("public", str(public)), PublishSigners(line.signer, line.signer)
        print(
            "\n| versions | written | largest file | first | update | first, with targets |\n|" + "---|" * 6, flush=True
        )
        wrote: list[tuple[int, int]] = []
        for number in range(1, max(counts) + 1):
            line.promote(line.ship(f"1.{number}", {"a": f"a {number}", "b": "b"}), "dev")
            before = sizes_of(public / "metadata")
            publish_to(line.store, line.ledger, "dev", settings, signers, now=line.now)
            new = [size for name, size in sizes_of(public / "metadata").items() if name not in before]
            wrote.append((sum(new), max(new)))
            if number + 1 in counts:
                read(line, public, known)
            if number in counts:
                mean, most = sum(size for size, _ in wrote[-8:]) / 8, max(size for _, size in wrote)
                stranger = TrustSettings(str(line.folder / str(number)))
                again, first = read(line, public, known), read(line, public, stranger)
                row(number, mean, most, first[0], again[0], first[1])


def row(*values: float) -> None:
    """One line of a table."""
    print("| " + " | ".join(f"{value:,.0f}" for value in values) + " |", flush=True)


def sizes_of(folder: Path) -> dict[str, int]:
    """Names and sizes; the pointer, which is replaced, is told apart by its time."""
    found = [path for path in folder.iterdir() if path.is_file()] if folder.exists() else []
    return {f"{path.name} {path.stat().st_mtime_ns}": path.stat().st_size for path in found}


def read(line: Line, public: Path, trust: TrustSettings) -> tuple[int, int]:
    """Bytes of metadata, and of all, that `verify` reads of a folder."""
    seen = {True: 0, False: 0}
    genuine = FolderReader.chunks

    def counted(self: FolderReader, path: str) -> Iterator[bytes]:
        return map(functools.partial(count, path), genuine(self, path))

    def count(path: str, chunk: bytes) -> bytes:
        seen[path.startswith("metadata/")] += len(chunk)
        return chunk

    FolderReader.chunks = counted  # type: ignore[method-assign]
    try:
        verify(str(public), "dev", trust=trust, at=line.now)
    finally:
        FolderReader.chunks = genuine  # type: ignore[method-assign]
    return seen[True], sum(seen.values())


class Lists:
    """The publications of a line whose every version is published once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.signer = from_private_key(keys.generate("ed25519"))
        self.root = tuf_repository.next_root(None, TufSigners.single(self.signer), now=NOW) or b""
        self.targets = self.after(0, count)
        self.made: dict[int, dict[str, bytes]] = {}

    def after(self, first: int, last: int) -> dict[str, PublishedTarget]:
        """What changed from one publication to another."""
        made = {path: one(f"{path} {last}") for path in ALWAYS}
        for number in range(first + 1, last + 1):
            made |= {path: one(path) for path in release(number)}
        return made | {f"publications/{n}.sigstore.json": one(f"record {n}") for n in range(max(first, 1), last)}

    def told(self, number: int) -> Publication:
        """Its record."""
        zero, changed = sha256(b""), self.after(since(number), number)
        return Publication("s", "main", "public", "dev", f"1.{number}", number, zero, NOW, changed, since=since(number))

    def roles(self, number: int) -> dict[str, bytes]:
        """Those that a publication signs."""
        if number % STEP or number in self.made:
            return self.made.get(number, {})
        part = older_lists.parts_of(self.told, number)[0]
        lists, until = part.lists(self.targets), NOW + timedelta(days=360)
        self.made[number] = {
            name: tuf_lists.role_bytes(part, name, lists.get(name, {}), number, self.signer, expires=until)
            for name in part.names
        }
        return self.made[number]

    def metadata(self, number: int) -> tuple[OlderRoles, dict[str, bytes], list[int]]:
        """The older roles of a publication, their bytes by name, and the sizes of targets, snapshot and timestamp."""
        parts = older_lists.parts_of(self.told, number)
        made = {name: (at, data) for at in self._newest(number) for name, data in self.roles(at).items()}
        until = NOW + timedelta(days=360)
        rows = {name: PublishedRole(at, until, sha256(data), len(data)) for name, (at, data) in made.items()}
        older = OlderRoles(parts, rows)
        whole = self.after(0, number)
        shown = {*release(number), *ALWAYS}
        top = older_lists.top_of(whole, whole, parts, shown.__contains__)
        listed = {path: TargetInfo(target.digest, target.length) for path, target in top.items()}
        signers = TufSigners.single(self.signer)
        files = tuf_repository.make_metadata(
            number, self.root, listed, signers, now=NOW, existing=lambda _: None, older=older
        )
        return older, {name: made[name][1] for name in older.live}, [len(file.data) for file in files]

    def _newest(self, number: int) -> list[int]:
        """The last publications that signed each role there was."""
        found: dict[int, int] = {}
        for at in range(STEP, number + 1, STEP):
            found[at & -at] = at
        return sorted(found.values())


def one(text: str) -> PublishedTarget:
    """A file."""
    return PublishedTarget(sha256(text.encode()), 4096)


def release(number: int) -> list[str]:
    """The targets of a version of which one product is new, as `--published` has them."""
    of = [hex_of(sha256(f"{number} {n}".encode())) for n in range(4)]
    papers = ["release.json", "SHA256SUMS", "one.product-manifest.json", "two.product-manifest.json"]
    papers += [f"one-1.{number}.tar.gz.sigstore.json", f"two-1.{number}.tar.gz.sigstore.json"]
    papers += [f"evidence/{name}.sigstore.json" for name in of[:3]]
    paths = [f"releases/1.{number}/{name}" for name in papers]
    return [*paths, f"files/1.{number}/all.json", f"archives/{of[3]}.one.tar.gz"]


def listed(counts: Sequence[int]) -> None:
    """Sizes of what would be published."""
    print(f"\n{HEAD}\n|" + "---|" * 7, flush=True)
    for count in counts:
        line = Lists(count)
        older, held, sizes = line.metadata(count)
        signed = {at: sum(map(len, line.roles(at).values())) for at in range(STEP, count + 1, STEP)}
        lasts = range(count - 7, count + 1)
        update = sum(sum(line.metadata(at)[2]) for at in lasts) / 8
        wrote = update + sum(signed.get(at, 0) for at in lasts) / 8
        largest = max(sizes[0], *(len(data) for data in held.values()), 0)
        old = sum(len(held[name]) for name in needed(older.parts, count // 2))
        mean = sum(signed.values()) / count
        row(count, wrote, mean, largest, len(line.root) + update, update, old)


def needed(parts: Sequence[Part], number: int) -> set[str]:
    """The roles that are fetched for all files of a version: newer ones are asked first."""
    found: set[str] = set()
    for path in release(max(1, number)):
        for part in parts:
            found |= {part.name, part.role_of(path)}
            if path in part.told:
                break
    return found


def main() -> None:
    """Print the tables for RESULTS.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--published", type=int, nargs="*", default=[10, 100])
    parser.add_argument("--listed", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--all-in-one", action="store_true")
    given = parser.parse_args()
    print(harness.machine())
    if given.all_in_one:
        older_lists.STEP = 1 << 62
        globals()["STEP"] = older_lists.STEP
    if given.published:
        published(given.published)
    if given.listed:
        listed(given.listed)


if __name__ == "__main__":
    main()
