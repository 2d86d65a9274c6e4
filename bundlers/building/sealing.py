"""The place of a build whose inputs are named: a new folder with copies of them, and a view that shows little else.

Promises: the build finds its inputs, the system's tools, and what `build_tools` names, read only; what it writes lies
in the new folder. Where the system gives no view of its own it runs there all the same, and the result says so. Leaves
to others: running it.

    place = place(inputs, "cargo", ["~/.cargo"], "/src/app", held)
    with place.view(network=False) as view: runner.run(argv, cwd=place.root, alone=True, view=view)
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput
from bundlers.building import build_inputs
from bundlers.building.build_inputs import BuildInputs, Selected
from casstore.machine import views
from casstore.machine.views import Place, View

_RESOLVER = "/run/systemd/resolve"
_PATH = re.compile(rb"[^\s'\"`:,;()\[\]]{2,200}")
_SHOWN = 5
_TOOLS = "tools"


@dataclass(frozen=True, slots=True)
class Tool:
    """A file or folder beside the system that a build was shown."""

    name: str
    """As it is written."""
    path: str
    digest: Digest
    """Of the file; of a folder that of the list of its files, as for inputs."""

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        return {"name": self.name, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class BuildPlace:
    """See the module."""

    project: str
    scratch: str
    root: str
    tools: tuple[Tool, ...]
    program: tuple[str, ...]
    """What is shown of the program that is run, where it is none of the system's."""

    @contextmanager
    def view(self, *, network: bool) -> Iterator[View | None]:
        """What it is shown; None where no view can be made."""
        temporary, shared = os.path.join(self.scratch, "view-tmp"), os.path.join(self.scratch, "view-shm")
        for folder in (temporary, shared):
            os.makedirs(folder, exist_ok=True)
        places = [
            Place("/tmp", writable=True, source=temporary),  # noqa: S108 - an own one
            Place("/dev/shm", writable=True, source=shared),  # noqa: S108 - an own one
            Place(self.scratch, writable=True),
            *(Place(path) for path in dict.fromkeys([*(tool.path for tool in self.tools), *self.program])),
        ]
        if network and os.path.isdir(_RESOLVER):
            places.append(Place(_RESOLVER))
        with ExitStack() as stack:
            try:
                found = stack.enter_context(views.prepared(places, cwd=self.root))
            except OSError:
                found = None
            yield found

    def asked_for(self, output: bytes) -> tuple[str, ...]:
        """What its output speaks of that is there and was not shown: the first few."""
        found = dict.fromkeys(os.fsdecode(match[0].rstrip(b".")) for match in _PATH.finditer(output))
        return tuple(path for path in found if self._hidden(path))[:_SHOWN]

    def _hidden(self, path: str) -> bool:
        whole = os.path.normpath(os.path.join(self.root, path))
        if whole.startswith(f"{self.root}/"):
            inside = whole[len(self.root) :]
            return not os.path.lexists(whole) and os.path.lexists(self.project + inside)
        shown = (*views.SYSTEM, "/dev", self.scratch, *(tool.path for tool in self.tools), *self.program)
        return not any(whole == one or whole.startswith(f"{one}/") for one in shown) and os.path.lexists(whole)


def place(inputs: BuildInputs, program: str, tools: Sequence[str], project: str, held: ExitStack) -> BuildPlace:
    """A new folder with copies of the inputs; it goes away with `held`. Raises BadInput for a missing tool."""
    made = tempfile.TemporaryDirectory(prefix="casstore-build-", ignore_cleanup_errors=True)
    scratch = os.path.realpath(held.enter_context(made))
    root = os.path.join(scratch, "inputs")
    os.mkdir(root)
    for path in inputs.files:
        there = os.path.join(os.fsencode(root), path)
        os.makedirs(os.path.dirname(there), exist_ok=True)
        shutil.copy2(os.path.join(os.fsencode(project), path), there, follow_symlinks=False)
    return around(scratch, root, program, tools, project)


def around(scratch: str, root: str, program: str, tools: Sequence[str], project: str) -> BuildPlace:
    """A place whose folders are there already: `root` in `scratch`. Raises BadInput for a missing tool."""
    shown = tuple(tool(name, project) for name in tools)
    return BuildPlace(os.path.realpath(project), scratch, root, shown, tuple(_of_program(program)))


def _of_program(name: str) -> Iterator[str]:
    """A program that is none of the system's is shown, and what it is a link to; a virtual environment as a whole."""
    found = shutil.which(name)
    if found is None or not os.path.isabs(found):
        return
    mine = tuple(_environment(os.path.dirname(os.path.dirname(found))))
    yield from (folder for folder in mine if not _in(folder, views.SYSTEM))
    for path in dict.fromkeys((found, os.path.realpath(found))):
        if not _in(path, (*views.SYSTEM, *mine)):
            yield path


def _environment(prefix: str) -> Iterator[str]:
    """A virtual environment of Python, and the Python that it is one of."""
    try:
        with open(os.path.join(prefix, "pyvenv.cfg"), encoding="utf-8") as file:
            lines = dict(line.partition("=")[::2] for line in file)
    except (OSError, ValueError):
        return
    yield prefix
    home = next((value.strip() for key, value in lines.items() if key.strip() == "home"), "")
    if os.path.isabs(home) and os.path.basename(home) == "bin" and os.path.isdir(home):
        yield os.path.dirname(os.path.realpath(home))


def _in(path: str, folders: Sequence[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in folders)


def tool(name: str, project: str) -> Tool:
    """A file or folder of this machine, as it is shown. Raises BadInput."""
    path = os.path.abspath(os.path.join(project, os.path.expanduser(name)))
    if not os.path.exists(path):
        raise BadInput(f"build_tools: {name!r} is not there", hint="name a file or folder of this machine")
    if os.path.isdir(path):
        files = [
            os.path.relpath(os.path.join(os.fsencode(folder), file), os.fsencode(path))
            for folder, _, names in os.walk(os.fsencode(path))
            for file in names
        ]
        return Tool(name, path, build_inputs.record(Selected(tuple(sorted(files)), _TOOLS), path).digest)
    one = build_inputs.record(Selected((os.fsencode(os.path.basename(path)),), _TOOLS), os.path.dirname(path))
    return Tool(name, path, Digest(f"sha256:{next(iter(one.files.values()))}"))
