"""What a component is built from: its source files, each by digest, before and after its build.

Promises: the same files give the same digest on any machine, and anyone can make it anew with
`sha256sum`: it is the sha256 of the list of `DIGEST  PATH` lines, sorted by path. Which files:
those that `inputs` names; else what Git tracks in the folder; else all files of the folder but
those that components ship (docs/formats/predicates/build-types.md). Leaves to others: running the
build, and what a build takes from outside of the folder.

    before = record(select(config, "core-bin", root), root)
    changed(before, record(before.paths, root))     # ("src/main.c was changed",)
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, CasstoreError
from casstore.config import Config
from casstore.errors import NoSuchObject
from casstore.ingest.globs import Selection
from casstore.machine import runner

_GIT_SECONDS = 60.0
_GIT_LIST = 64 * 1024 * 1024
_WORKERS = 2
_LINE_END = b"\n"
BY_GLOBS = "globs"


@dataclass(frozen=True, slots=True)
class Selected:
    """Paths below a folder, sorted, and who named them."""

    paths: tuple[bytes, ...]
    by: str
    """`globs`, `git` or `folder`."""


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """Files by digest; a symlink counts by the text that it holds."""

    files: dict[bytes, str]
    """Path -> hexadecimal sha256."""
    size: int
    """Bytes of all of them."""
    by: str

    @property
    def listing(self) -> bytes:
        """Lines as `sha256sum` writes them; `\\` and line ends in names are escaped as there."""
        return b"".join(_line(path, value) for path, value in self.files.items())

    @property
    def digest(self) -> Digest:
        """The sha256 of the listing."""
        return digests.sha256(self.listing)

    def to_json(self) -> dict[str, Any]:
        """For provenance and `--json`."""
        return {"by": self.by, "files": len(self.files), "bytes": self.size, "digest": self.digest}

    def record(self, tree: Digest | None) -> dict[str, Any]:
        """The same with the tree that they are kept as."""
        return {**self.to_json(), **({"tree": tree} if tree else {})}


def declared_tree(predicate: Mapping[str, Any], name: str) -> Digest | None:
    """The tree of the inputs that a component names itself, by its provenance; None where it names none."""
    definition = predicate.get("buildDefinition")
    said = definition.get("internalParameters") if isinstance(definition, Mapping) else None
    for table, within in (("inputs", ()), ("builds", ("inputs",))):
        row = said.get(table) if isinstance(said, Mapping) else None
        for key in (name, *within):
            row = row.get(key) if isinstance(row, Mapping) else None
        if isinstance(row, Mapping) and row.get("by") == BY_GLOBS and digests.is_digest(row.get("tree")):
            return digests.parse(row["tree"])
    return None


def select(config: Config, name: str, root: str) -> Selected:
    """The inputs of a component. Raises NoSuchObject when its globs name no file."""
    globs = config.components[name].inputs
    if globs:
        found = tuple(sorted(_walk(os.fsencode(root), Selection(globs))))
        if not found:
            raise NoSuchObject(f"component {name}: no file in {root} matches its inputs", hint=f"inputs = {globs!r}")
        return Selected(found, BY_GLOBS)
    tracked = _tracked(root)
    if tracked is not None:
        return Selected(tracked, "git")
    return Selected(tuple(sorted(_walk(os.fsencode(root), Selection(exclude=_made(config, root))))), "folder")


def record(selected: Selected, root: str) -> BuildInputs:
    """Hash them; one that is no longer there is left out. Raises BadInput for one that cannot be read."""
    folder = os.fsencode(root)
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = pool.map(lambda path: _read(os.path.join(folder, path)), selected.paths)
        files = {path: item for path, item in zip(selected.paths, found, strict=True) if item}
    return BuildInputs(
        {path: value for path, (value, _) in files.items()}, sum(size for _, size in files.values()), selected.by
    )


def changed(before: BuildInputs, after: BuildInputs) -> tuple[str, ...]:
    """What differs, one text per file."""
    return tuple(
        f"{os.fsdecode(path)} was {'changed' if path in after.files else 'removed'}"
        for path, value in before.files.items()
        if after.files.get(path) != value
    )


def _line(path: bytes, value: str) -> bytes:
    escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != path else b"") + value.encode() + b"  " + escaped + _LINE_END


def _read(path: bytes) -> tuple[str, int] | None:
    """sha256 and size; None for what is gone, and for folders, sockets and the like."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            target = os.readlink(path)
            return hashlib.sha256(target).hexdigest(), len(target)
        if not stat.S_ISREG(found.st_mode):
            return None
        with open(path, "rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), found.st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise BadInput(f"{os.fsdecode(path)}: an input of a build cannot be read: {exc.strerror}") from exc


def _tracked(root: str) -> tuple[bytes, ...] | None:
    """What Git tracks below the folder; None where it tracks nothing."""
    argv = ["git", "ls-files", "-z", "--cached", "--recurse-submodules"]
    try:
        listed = runner.run(argv, cwd=root, timeout=_GIT_SECONDS, max_output=_GIT_LIST)
    except CasstoreError:  # no git here
        return None
    if not listed.ok or listed.truncated:
        return None
    return tuple(sorted({path for path in listed.stdout.split(b"\0") if path})) or None


def _made(config: Config, root: str) -> Sequence[str]:
    """Globs of what is no input where nobody says more: what is shipped, Git's own files, a store in the folder."""
    shipped = [
        glob if table.root == "." else f"{table.root}/{glob}"
        for table in config.components.values()
        for glob in table.include
    ]
    store = os.path.relpath(config.store_url, root) if "://" not in config.store_url else ".."
    return [".git", *shipped, *([] if store.startswith("..") else [store])]


def _walk(root: bytes, selection: Selection) -> Iterator[bytes]:
    pending = [b""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                path = os.path.join(folder, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    if selection.enters(path):
                        pending.append(path)
                elif selection.takes(path):
                    yield path
