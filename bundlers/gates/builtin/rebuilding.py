"""A component built once more, from nothing but its recorded inputs, in another folder: is it the same tree?

Promises: the inputs are those that the provenance records by digest, or it is told that they are not;
a difference names the files. Nothing is stored in the release's store. Leaves to others: archives.

    for problem in rebuilt(view, "core-bin"): ...
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from bundlers.building import build_inputs, building
from bundlers.gates.base import ReleaseView
from casstore import config as configs
from casstore.config import Config
from casstore.objects.tree import TreeEntry, show
from casstore.store.store import Store

_SHOWN = 5


def rebuilt(view: ReleaseView, component: str) -> Iterator[str]:
    """What is wrong; nothing for a component that was put as it was."""
    definition = view.provenance.get(component, {}).get("buildDefinition", {})
    if not definition.get("externalParameters", {}).get("components", {}).get(component, {}).get("build"):
        return
    config = configs.load(os.path.join(view.root, configs.NAME), view.root)
    selected = build_inputs.select(config, component, view.root)
    if build_inputs.record(selected, view.root).digest != _recorded(definition, component):
        yield f"its inputs in {view.root} are not those that its provenance records: check out what it was built from"
        return
    with tempfile.TemporaryDirectory(prefix="casstore-rebuild-") as scratch, ExitStack() as held:
        root = os.path.join(scratch, "again")
        _copy(selected.paths, view.root, root)
        table = config.components[component]
        tools = [os.path.join(view.root, os.path.expanduser(tool)) for tool in table.build_tools]
        table = table.model_copy(update={"build_tools": tools})
        done = building.run(table, component, selected, version=view.version, root=root, held=held)
        yield from _compared(view, component, config, done.root or root, scratch)


def _recorded(definition: Mapping[str, Any], component: str) -> str | None:
    build = definition.get("internalParameters", {}).get("builds", {}).get(component, {})
    found = build.get("inputs", {}).get("digest")
    return found if isinstance(found, str) else None


def _copy(paths: tuple[bytes, ...], source: str, target: str) -> None:
    for path in paths:
        there = os.path.join(os.fsencode(target), path)
        os.makedirs(os.path.dirname(there), exist_ok=True)
        if os.path.lexists(here := os.path.join(os.fsencode(source), path)) and not os.path.isdir(here):
            shutil.copy2(here, there, follow_symlinks=False)


def _compared(view: ReleaseView, component: str, config: Config, root: str, scratch: str) -> Iterator[str]:
    table = config.components[component]
    with Store.init(os.path.join(scratch, "store")) as store:
        tree = store.put_tree(os.path.join(root, table.root), include=table.include, exclude=table.exclude).tree
        if tree == view.trees[component]:
            return
        before, after = (dict(found) for found in (view.store.walk(view.trees[component]), store.walk(tree)))
    told = [
        f"{show(path)} {_difference(before.get(path), after.get(path))}"
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]
    more = f" (and {len(told) - _SHOWN} more)" if len(told) > _SHOWN else ""
    yield f"built again from the same inputs, {', '.join(told[:_SHOWN]) or 'its folders'}{more} differ"


def _difference(before: TreeEntry | None, after: TreeEntry | None) -> str:
    if before is None or after is None:
        return "(only the second time)" if before is None else "(only the first time)"
    return "(mode)" if before.kind == after.kind == "file" and before.content == after.content else "(content)"
