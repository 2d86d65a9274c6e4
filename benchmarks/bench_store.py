"""The store against its peers: put, put again, check out, check; alternating rounds, medians.

    python benchmarks/bench_store.py [--small] [--rounds 3] [--folder DIR]

The corpus is made of the files of installed packages, so it is real and needs no network: `--small` takes
3,000 files, else all that there are. Peers that are not installed are left out and named. Every store is
new in every round.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable

import harness
from harness import Timing

CASSTORE = f"{sys.executable} -m cli.main --store store"


def corpus(target: str, limit: int | None) -> tuple[int, int]:
    """Copy installed packages into `target`; (files, bytes)."""
    source, count, size = sysconfig.get_paths()["purelib"], 0, 0
    for where, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            path = os.path.join(where, name)
            if os.path.islink(path) or (limit is not None and count >= limit):
                continue
            copy = os.path.join(target, os.path.relpath(path, source))
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copyfile(path, copy)
            count, size = count + 1, size + os.path.getsize(copy)
    return count, size


class Bench:
    """One folder in which every round begins anew."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.env = {
            "HOME": folder,
            "RESTIC_PASSWORD": "x",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "BORG_BASE_DIR": f"{folder}/borg-base",
        }

    def fresh(self) -> None:
        """Nothing but the corpus."""
        for name in os.listdir(self.folder):
            if name != "src":
                shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def timed(self, command: str, *before: str) -> Callable[[], Timing]:
        """A command to time, with what must be there first."""

        def go() -> Timing:
            for step in before:
                harness.run(step, cwd=self.folder, env=self.env)
            return harness.run(command, cwd=self.folder, env=self.env)

        return go


PEERS = {
    "restic": (
        ["restic", "version"],
        "restic -q init -r r --repository-version 2",
        "cd src && restic -q -r ../r --no-cache --compression off backup --host h .",
        "restic -q -r r --no-cache restore latest --target out",
        "restic -q -r r --no-cache check --read-data",
    ),
    "borg": (
        ["borg", "--version"],
        "borg init -e none b",
        "cd src && borg create --noxattrs --noacls --noflags -C none ../b::n$RANDOM$RANDOM .",
        "mkdir -p out && cd out && borg extract ../b::$(borg list --last 1 --format '{archive}' ../b)",
        "borg check --verify-data b",
    ),
    "git": (
        ["git", "--version"],
        "git init -q --bare g && git --git-dir=g config gc.auto 0",
        "git --git-dir=g --work-tree=src -c core.bare=false add -A -f ."
        " && git --git-dir=g --work-tree=src -c user.name=b -c user.email=b@b -c core.bare=false"
        " commit -q --allow-empty -m x",
        "mkdir -p out && git --git-dir=g --work-tree=out -c core.bare=false checkout -q -f HEAD -- .",
        "git --git-dir=g fsck --full --no-progress",
    ),
}
COPY = "cp -a src c && (cd src && find . -type f -print0 | xargs -0 sha256sum > ../sums)"
COPY_SSL = "cp -a src c && (cd src && find . -type f -print0 | xargs -0 openssl dgst -r -sha256 > ../sums)"


def works(bench: Bench, peer: tuple[list[str], str, str, str, str]) -> bool:
    """Whether an installed peer can do its work here at all."""
    bench.fresh()
    try:
        bench.timed(peer[2], peer[1])()
    except RuntimeError as exc:
        print(f"left out: {peer[0][0]}: {str(exc).splitlines()[-1]}")
        return False
    return True


def main() -> None:
    """Print the tables for RESULTS.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        bench = Bench(folder)
        count, size = corpus(os.path.join(folder, "src"), 3000 if given.small else None)
        peers = {name: peer for name, peer in PEERS.items() if harness.version(peer[0]) and works(bench, peer)}
        print(f"{count} files, {size / 2**20:.0f} MiB; {harness.machine()}")
        print("versions:", "; ".join(harness.version(peer[0]) for peer in peers.values()) or "no peer installed")
        init, put = f"{CASSTORE} init", f"{CASSTORE} put src"
        rows = {
            "cold put": {
                "casstore": bench.timed(put, init),
                "cp -a + sha256sum": bench.timed(COPY),
                "cp -a + openssl dgst": bench.timed(COPY_SSL),
                **{n: bench.timed(p[2], p[1]) for n, p in peers.items()},
            },
            "put again, nothing changed": {
                "casstore": bench.timed(put, init, put),
                **{n: bench.timed(p[2], p[1], p[2]) for n, p in peers.items()},
            },
            "check out, every byte verified": {
                "casstore": bench.timed(f"{CASSTORE} get $(cut -d' ' -f1 tree) out", init, f"{put} > tree"),
                "cp -a": bench.timed("cp -a c out", "cp -a src c"),
                **{n: bench.timed(p[3], p[1], p[2]) for n, p in peers.items()},
            },
            "check of the whole store": {
                "casstore": bench.timed(f"{CASSTORE} fsck", init, put),
                "sha256sum -c": bench.timed("cd c && sha256sum --quiet -c ../sums", COPY),
                **{n: bench.timed(p[4], p[1], p[2]) for n, p in peers.items()},
            },
        }
        for title, commands in rows.items():
            found = harness.alternate(commands, rounds=given.rounds, before=bench.fresh)
            print(f"\n### {title}\n\n{harness.table(found, against='casstore')}", flush=True)


if __name__ == "__main__":
    main()
