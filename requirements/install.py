"""Install exactly what locks name into the environment of the Python that runs this, then ours, then check.

    PYTHON requirements/install.py LOCK... [-- OURS...]
    .venv/bin/python requirements/install.py requirements/dev.txt -- --editable .

pip resolves nothing (`--no-deps`) and takes no file that a lock has no digest of (`--require-hashes`): no release of
anybody, made after the lock, changes what is installed. What a resolver would have told is then asked of what lies
there: every requirement of every package, with the extras that others ask of it, is met. The pip that a new
environment of Python 3.11 has is enough. OURS are paths of ours, built with what the locks brought.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

PIP = (sys.executable, "-m", "pip")
INSTALL = (*PIP, "install", "--quiet", "--disable-pip-version-check", "--no-deps")


def install(locks: list[str], ours: list[str]) -> None:
    """`locks` are paths of requirement files with a digest for each package; `ours` are arguments of pip."""
    named = [argument for lock in locks for argument in ("-r", lock)]
    subprocess.run([*INSTALL, "--require-hashes", *named], check=True)  # noqa: S603
    if ours:
        subprocess.run([*INSTALL, "--no-build-isolation", *ours], check=True)  # noqa: S603


def unmet() -> list[str]:
    """What packages of this environment ask for and do not find, each as one line."""
    found = {canonicalize_name(each.metadata["Name"]): each for each in metadata.distributions()}
    versions = {name: each.version for name, each in found.items()}
    missing, seen = set(), set()
    open_ends = [(name, "") for name in found]
    while open_ends:
        name, extra = end = open_ends.pop()
        if end in seen or name not in found:
            continue
        seen.add(end)
        for asked in _asked(found[name], extra):
            other = canonicalize_name(asked.name)
            if other not in found or not asked.specifier.contains(versions[other], prereleases=True):
                missing.add(f"{name} {versions[name]} needs {asked}, found: {versions.get(other, 'nothing')}")
            open_ends.extend((other, wanted) for wanted in asked.extras)
    return sorted(missing)


def _asked(package: metadata.Distribution, extra: str) -> Iterator[Requirement]:
    for line in package.requires or ():
        asked = Requirement(line)
        if asked.marker is None or asked.marker.evaluate({"extra": extra}):
            yield asked


def main(arguments: list[str]) -> None:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    if not arguments[:split]:
        raise SystemExit("usage: PYTHON requirements/install.py LOCK... [-- OURS...]")
    try:
        install(arguments[:split], arguments[split + 1 :])
    except subprocess.CalledProcessError as failed:
        raise SystemExit(failed.returncode) from failed
    if missing := unmet():
        raise SystemExit("\n".join(["the lock is not complete (make lock):", *missing]))


if __name__ == "__main__":
    main(sys.argv[1:])
