"""The isolation check on pairs of real wheels: what stops them, what commands let them pass, which leaks are found.

    python benchmarks/bench_isolation_pairs.py [--folder DIR] [PAIR ...]

Wheels of two releases of each product are downloaded by digest with pip. A pair is compared, accepted by the
commands below, compared again, and its next release with the same acceptances. Leaks of one product's own content are
planted into the other, in its accepted folders and outside of them, before and after it was accepted. Prints the tables
of docs/isolation.md.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from attest.keys import keys
from bundlers import isolation
from bundlers.isolation import IsolationReport, Settings, accepting, grouping
from bundlers.isolation.explained import acceptances
from bundlers.isolation.reports import distinct
from bundlers.isolation.settings import Accepted
from bundlers.products import manifest_building
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore.store.store import Store

WHEELS = {
    "jupyterlab": {
        "4.6.5": "cb96fc3d59d20b6f17d0cc1afe6e0508a61d881ab39be89236c55b01fa0e2b99",
        "4.6.6": "4261910ccf1ecad6e0b3ca0debe96d4fde9735bfc9707509c125aab850e06b81",
    },
    "maturin": {
        "1.15.0": "653020a63525bb224e5ab0adf02e17a2e08bc86dbea7fc1399c9a56d7529b99e",
        "1.16.0": "837db2f4d93d4899c3ac393fb3cc9eebf35b6002336e5d574f4a4fb6c49fe283",
    },
    "notebook": {
        "7.6.4": "15e8a5eefb01f198016f11616426db0486f24404bfa869ec276d5ff8311b533c",
        "7.6.5": "b27b4af6e410e7456cfffc6fb5a764dcfb7a331408907d483024d6ddb5ec05f2",
    },
    "numpy": {
        "2.4.5": "07ce7e74da92d7c71b5df157b9758bcdd53d7fea10602154de3afd2b3ddc34dd",
        "2.4.6": "89cd468399cfd2504718f0ba50e410dca55a170b61a02ad92bb18c8a65186e93",
    },
    "pandas": {
        "3.1.0": "0a28602573f50453b57802d282f9f8cb7663aa10201127ecbbe95ed4a41c64ce",
        "3.1.1": "4f1602f614bb83f443381dbcbb94c4ac764b2e50c8d6c965614c5cd83e328c47",
    },
    "ruff": {
        "0.17.5": "40ca8afaac309b41a5b2e09e4e7beb1f824826b93c25697c4d74f573324fba4e",
        "0.17.6": "aa3b08254a732acba246891089a152c47c5733dc36b8ecb76ce8602f8326e5e4",
    },
    "scipy": {
        "1.17.0": "dac97a27520d66c12a34fd90a4fe65f43766c18c0d6e1c0a80f114d2260080e4",
        "1.17.1": "43af8d1f3bea642559019edfe64e9b11192a8978efbd1539d7bc2aaa23d92de4",
    },
    "uv": {
        "0.13.8": "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
        "0.13.9": "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    },
}
"""For CPython 3.11 on x86-64 Linux with glibc."""


@dataclass(frozen=True)
class Command:
    """An acceptance, as it is given to `casstore isolation accept`."""

    globs: tuple[str, ...]
    whole: bool = False


@dataclass(frozen=True)
class Pair:
    """Two products, the commands that let them pass, and where leaks are planted in the second."""

    one: str
    two: str
    commands: tuple[Command, ...]
    inside: str
    """A folder that is accepted; outside is a folder of its own."""
    changed: bool = True


PAIRS = (
    Pair(
        "ruff",
        "uv",
        (
            Command(("ruff:*/scripts/*", "uv:*/scripts/*")),
            Command(("ruff:*/sboms/*", "uv:*/sboms/*", "ruff:ruff/*", "uv:uv/*")),
            Command(("ruff:*/WHEEL", "uv:*/WHEEL"), whole=True),
        ),
        "uv-0.13.9.data/scripts",
    ),
    Pair("ruff", "maturin", (Command(("ruff:*", "maturin:*")),), "maturin-1.16.0.data/scripts"),
    Pair("numpy", "pandas", (), "pandas/_libs"),
    Pair(
        "numpy",
        "scipy",
        (
            Command(("numpy:numpy.libs/*", "scipy:scipy.libs/*"), whole=True),
            Command(("numpy:*.so*", "scipy:*.so*", "numpy:*.a", "scipy:*.a")),
            Command(("numpy:*.py", "scipy:*.py", "numpy:*/WHEEL", "scipy:*/WHEEL"), whole=True),
        ),
        "scipy/linalg",
    ),
    Pair(
        "jupyterlab",
        "notebook",
        (
            Command(("jupyterlab:*/static/*", "notebook:notebook/static/*"), whole=True),
            Command(("jupyterlab:*", "notebook:*")),
            Command(("jupyterlab:*/WHEEL", "notebook:*/WHEEL"), whole=True),
        ),
        "notebook/static",
    ),
)


@dataclass
class Bench:
    """Downloaded wheels, put into one store."""

    folder: str
    store: Store
    files: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)

    def wheel(self, name: str, version: str) -> dict[str, bytes]:
        """Path -> bytes."""
        if (name, version) not in self.files:
            with zipfile.ZipFile(self._download(name, version)) as packed:
                held = {info.filename: packed.read(info) for info in packed.infolist() if not info.is_dir()}
            self.files[name, version] = held
        return self.files[name, version]

    def _download(self, name: str, version: str) -> str:
        target = os.path.join(self.folder, f"{name}-{version}")
        if not os.path.isdir(target):
            asked = os.path.join(self.folder, "asked.txt")
            with open(asked, "w", encoding="utf-8") as file:
                file.write(f"{name}=={version} --hash=sha256:{WHEELS[name][version]}\n")
            options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--python-version", "3.11"]
            platforms = [
                "manylinux_2_28_x86_64",
                "manylinux_2_27_x86_64",
                "manylinux_2_24_x86_64",
                "manylinux_2_17_x86_64",
            ]
            options += [word for tag in (*platforms, "manylinux_2_12_x86_64", "any") for word in ("--platform", tag)]
            command = [sys.executable, "-m", "pip", "download", "-q", *options, "-d", f"{target}.new", "-r", asked]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            os.rename(f"{target}.new", target)
        (found,) = os.listdir(target)
        return os.path.join(target, found)

    def manifest(self, name: str, files: Mapping[str, bytes]) -> ProductManifest:
        """A product of these files."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            for path, data in files.items():
                target = os.path.join(folder, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    file.write(data)
            tree = self.store.put_tree(folder).tree
        return manifest_building.build(self.store, name, "tar.gz", {name: ComponentTree(tree)})

    def compare(self, products: Mapping[str, Mapping[str, bytes]], settings: Settings) -> IsolationReport:
        """All findings."""
        made = {name: self.manifest(name, files) for name, files in products.items()}
        return isolation.check(self.store, isolation.Contents.each(made), settings)

    def accept(self, settings: Settings, report: IsolationReport, command: Command) -> Settings:
        """The settings with one more acceptance."""
        sides = [accepting.Side.parse(glob) for glob in command.globs]
        chosen = accepting.choose(report.found, sides, whole=command.whole)
        if not chosen.rows:
            return settings
        made, data = accepting.acceptance(self.store, settings, chosen.rows)
        tree = acceptances.write(self.store, made, data)
        name = f"accepted-{len(settings.accepted)}"
        return replace(settings, accepted=(*settings.accepted, Accepted(name, tree, made.between, "looked at")))


@dataclass(frozen=True)
class Own:
    """What is one product's own: a text, a program, and a test key."""

    text: bytes
    program: bytes
    key: bytes

    @staticmethod
    def of(seed: str) -> Own:
        """Made up for each pair, so that it stands nowhere else."""
        chance = random.Random(seed)
        names = [
            f"{chance.choice(('parse', 'route', 'pack', 'probe', 'score'))}_{chance.getrandbits(24):x}"
            for _ in range(300)
        ]
        lines = []
        for name in names:
            one, two = chance.choice(names), chance.choice(names)
            lines.append(f"def {name}(value, limit={chance.randrange(999)}):\n    return {one}(value) + {two}(limit)\n")
        program = b"\x7fELF" + b"".join(
            chance.choice((b"\x48\x89\xe5", b"\xe8", b"\x0f\x84")) + chance.randbytes(4) for _ in range(9000)
        )
        return Own("\n".join(lines).encode(), program, keys.private_to_pem(keys.generate("ecdsa-p256"), None))

    def files(self) -> dict[str, bytes]:
        """As the first product ships them."""
        return {"own/engine.py": self.text, "own/engine.so": self.program, "own/tests/key.pem": self.key}


LEAKS = (
    "renamed",
    "packed twice",
    "embedded at an odd offset",
    "appended",
    "half of it",
    "4 KiB of its code",
    "1,500 bytes of its source",
    "its test key",
    "119 bytes of its key in other text",
)


def leaks(own: Own, host: bytes) -> dict[str, bytes]:
    """What a leak looks like in the second product; `host` is a file of its own."""
    chance = random.Random(1)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        inner = gzip.compress(own.program)
        info = tarfile.TarInfo("data")
        info.size = len(inner)
        packed.addfile(info, io.BytesIO(inner))
    at = min(len(host), 12_345)
    body = own.key.split(b"\n", 1)[1]
    return dict(
        zip(
            LEAKS,
            (
                own.program,
                out.getvalue(),
                host[:at] + own.program + host[at:],
                host + own.program,
                own.program[: len(own.program) // 2],
                chance.randbytes(30_000) + own.program[9001:13_097] + chance.randbytes(30_000),
                prose(chance) + own.text[2000:3500] + prose(chance),
                b"# settings\n" + own.key + b"\n# end\n",
                prose(chance) + body[:119] + prose(chance),
            ),
            strict=True,
        )
    )


def prose(chance: random.Random) -> bytes:
    """Text of nobody's."""
    return b" ".join(b"word%d" % chance.getrandbits(30) for _ in range(900)) + b" "


def planted(own: Own, files: Mapping[str, bytes], folder: str) -> dict[str, bytes]:
    """The second product with all leaks in one folder."""
    host = max((data for path, data in files.items() if path.startswith(folder)), key=len, default=b"host" * 9000)
    return {f"{folder}/planted-{number}.bin": data for number, data in enumerate(leaks(own, host[:200_000]).values())}


def found_in(report: IsolationReport) -> set[int]:
    """Which leaks stop the release."""
    paths = {path for row in report.findings for path in (row.path_b, *row.also[1], row.path_a, *row.also[0])}
    return {n for n in range(len(LEAKS)) if any(f"planted-{n}.bin" in path for path in paths)}


def measure(bench: Bench, pair: Pair) -> Iterator[str]:
    """The lines of one pair."""
    began = time.perf_counter()
    old, new = ({n: bench.wheel(n, sorted(WHEELS[n], key=_version)[k]) for n in (pair.one, pair.two)} for k in (0, 1))
    settings, counts = Settings(), []
    first = report = bench.compare(old, settings)
    counts.append(len(report.findings))
    for command in pair.commands:
        settings = bench.accept(settings, report, command)
        report = bench.compare(old, settings)
        counts.append(len(report.findings))
    after = bench.compare(new, settings)
    told = distinct([row for row in first.found if not row.fails])
    groups = len(grouping.groups(first.findings))
    yield (
        f"| {pair.one} + {pair.two} | {len(first.found)} | {told} | {groups} | {' '.join(map(str, counts))} "
        f"| {len(after.findings)} | {time.perf_counter() - began:.0f} s |"
    )
    yield from leaked(bench, pair, old, settings)


def leaked(bench: Bench, pair: Pair, files: Mapping[str, Mapping[str, bytes]], settings: Settings) -> Iterator[str]:
    """Leaks planted after the pair was accepted, and before."""
    own = Own.of(pair.one + pair.two)
    ours = {**files[pair.one], **own.files()}
    inside = pair.inside.replace("0.13.9", "0.13.8").replace("1.16.0", "1.15.0")
    for folder, where in ((inside, "inside"), ("elsewhere", "outside")):
        theirs = {**files[pair.two], **planted(own, files[pair.two], folder)}
        both = {pair.one: ours, pair.two: theirs}
        late = found_in(bench.compare(both, settings))
        early, report = Settings(), bench.compare(both, Settings())
        for command in pair.commands:
            early = bench.accept(early, report, command)
            report = bench.compare(both, early)
        before = found_in(report)
        for when, seen in (("after", late), ("before", before)):
            missed = ", ".join(LEAKS[n] for n in range(len(LEAKS)) if n not in seen)
            told = f"{len(seen)} of {len(LEAKS)}; missed: {missed}"
            yield f"leaks: {pair.one} + {pair.two}, {where}, planted {when}: {told}"


def _version(text: str) -> Sequence[int]:
    return [int(part) for part in text.split(".")]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", help="such as numpy+scipy; all by default")
    parser.add_argument("--folder", help="keep wheels here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or temporary
        os.makedirs(folder, exist_ok=True)
        with Store.init(os.path.join(temporary, "store")) as store:
            bench = Bench(folder, store)
            heads = (
                "pair",
                "findings",
                "bytes told",
                "failing groups",
                "failing after commands",
                "next release",
                "time",
            )
            print(f"| {' | '.join(heads)} |")
            print("|---|---|---|---|---|---|---|")
            for pair in PAIRS:
                if not asked.pairs or f"{pair.one}+{pair.two}" in asked.pairs:
                    for line in measure(bench, pair):
                        print(line, flush=True)


if __name__ == "__main__":
    main()
