"""The trees that are measured: many small files and their next release, large binaries, four releases of a package.

    python benchmarks/corpora.py DEST [--full]

`--full` unpacks pinned wheels (about 4 GiB; pip fetches them); else a small form is made out of the packages that are
installed here, without a network: real files too, but fewer. Both are made once and kept:

| folder | full | small form |
|---|---|---|
| `small-a`, `small-b` | 78,305 and 80,935 files, 414 and 427 MiB | 4,000 files; in b a tenth have other bytes |
| `binaries` | 554 files, 1,465 MiB | the 12 largest shared objects |
| `versions/1` to `4` | three packages, 1,142 MiB in all | the 4 largest shared objects, one changed each time |

The sources' own times are not kept: every file is as old as the corpus, but those of `small-b` are newer.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterable, Mapping

SMALL = {
    "small-a": "ansible==10.6.0 homeassistant==2024.3.0 botocore==1.35.50 plotly==5.23.0 sympy==1.13.0"
    " django==5.1.1 kubernetes==30.1.0",
    "small-b": "ansible==10.7.0 homeassistant==2024.3.1 botocore==1.35.60 plotly==5.24.0 sympy==1.13.1"
    " django==5.1.2 kubernetes==31.0.0",
}
BINARIES = "tensorflow-cpu==2.17.0 llvmlite==0.43.0 opencv-python-headless==4.10.0.84 jaxlib==0.4.30"
WHOLE_WHEELS = ("llvmlite", "opencv_python_headless")
VERSIONS = {
    "versions/1": "polars==1.20.0 duckdb==1.1.0 pyarrow==17.0.0",
    "versions/2": "polars==1.21.0 duckdb==1.1.1 pyarrow==18.0.0",
    "versions/3": "polars==1.22.0 duckdb==1.1.2 pyarrow==18.1.0",
    "versions/4": "polars==1.23.0 duckdb==1.1.3 pyarrow==19.0.0",
}
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any")


def fetch(package: str, wheels: str) -> str:
    """The wheel of a pinned package, by pip."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", wheels]
    command += ["--python-version", "311", "--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    before = set(os.listdir(wheels))
    subprocess.run([*command, *(f"--platform={name}" for name in _PLATFORMS), package], check=True)
    name, _, version = package.partition("==")
    stem = f"{name.replace('-', '_')}-{version}-".lower()
    return next(f for f in {*before, *os.listdir(wheels)} if f.lower().startswith(stem))


def unpacked(target: str, packages: str, wheels: str) -> None:
    """Wheels unpacked side by side, without compiled caches and notes on the installation."""
    for package in packages.split():
        folder = os.path.join(target, package.partition("==")[0])
        with zipfile.ZipFile(os.path.join(wheels, fetch(package, wheels))) as archive:
            archive.extractall(folder)
    for where, folders, names in os.walk(target):
        for name in [name for name in folders if name.endswith(".dist-info")]:
            shutil.rmtree(os.path.join(where, name))
            folders.remove(name)
        for name in names:
            if name.endswith(".pyc"):
                os.unlink(os.path.join(where, name))


def full(dest: str) -> None:
    """The corpora that RESULTS.md speaks of."""
    with tempfile.TemporaryDirectory(dir=dest) as wheels:
        for name, packages in {**SMALL, **VERSIONS}.items():
            unpacked(os.path.join(dest, name), packages, wheels)
        binaries = os.path.join(dest, "binaries")
        unpacked(binaries, BINARIES, wheels)
        for where, _, names in os.walk(binaries):
            for name in names:
                if os.path.getsize(os.path.join(where, name)) < 64 * 1024:
                    os.unlink(os.path.join(where, name))
        for wheel in os.listdir(wheels):
            if wheel.startswith(WHOLE_WHEELS):
                shutil.copy(os.path.join(wheels, wheel), binaries)


def installed() -> list[str]:
    """Files of the packages that are installed here, sorted."""
    found = []
    for where, folders, names in os.walk(sysconfig.get_paths()["purelib"]):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        found += [path for name in sorted(names) if not os.path.islink(path := os.path.join(where, name))]
    return found


def copied(target: str, files: Iterable[str], changed: Mapping[str, bytes] = {}) -> None:
    """Copies; those in `changed` begin with these bytes."""
    source = sysconfig.get_paths()["purelib"]
    for path in files:
        copy = os.path.join(target, os.path.relpath(path, source))
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copyfile(path, copy)
        if path in changed:
            with open(copy, "r+b") as file:
                file.write(changed[path])


def small(dest: str) -> None:
    """The small form."""
    files = installed()
    few = [path for path in files if os.path.getsize(path) < 1024 * 1024][:4000]
    copied(os.path.join(dest, "small-a"), few)
    copied(os.path.join(dest, "small-b"), few, dict.fromkeys(few[::10], b"# next release\n"))
    large = sorted((path for path in files if ".so" in os.path.basename(path)), key=os.path.getsize)[-12:]
    copied(os.path.join(dest, "binaries"), large)
    for number in range(1, 5):
        changed = {large[-number]: f"release {number}\n".encode()}
        copied(os.path.join(dest, f"versions/{number}"), large[-4:], changed)


def aged(dest: str) -> None:
    """One age for all, so that no tool takes a file for one that is still being written."""
    for where, folders, names in os.walk(dest):
        newer = f"{where}/".startswith(os.path.join(dest, "small-b/"))
        for name in [*folders, *names]:
            path = os.path.join(where, name)
            os.utime(path, (1_700_000_000 + 86400 * newer,) * 2, follow_symlinks=False)
            if name in names:
                os.chmod(path, 0o755 if ".so" in name else 0o644)


def make(dest: str, *, is_full: bool) -> str:
    """The folder of the corpora, made where it is not there yet."""
    if not os.path.exists(os.path.join(dest, "versions")):
        os.makedirs(dest, exist_ok=True)
        (full if is_full else small)(dest)
        aged(dest)
    return dest


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dest")
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    make(given.dest, is_full=given.full)
