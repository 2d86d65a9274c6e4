"""versions: one version everywhere: in the files that tell it, and in the Git tag that was built.

    [gates.versions]
    tag = "v{version}"
    [gates.versions.files]
    "core-bin/core/VERSION" = '(.+)'
    "*/package.json" = '"version":\\s*"([^"]+)"'

`files`: glob over COMPONENT/PATH -> a regular expression whose first group is the version (Python's
re, multi-line). A glob without a file, a file without a match and a match of another version fail.
`tag`: every component was built from a revision that bears this tag, unchanged, as its provenance
records it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import field

from attest.core.values import dataclass
from attest.errors import BadInput
from bundlers.gates.base import GateResult, Phase, ReleaseView
from casstore.objects.tree import TreeEntry

NAME = "versions"
PHASE = Phase.INPUTS
SUMMARY = "Files and Git tag name the very version that is released."

_MAX_FILE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the version stands."""

    files: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """All files and all components."""
    if not settings.files and not settings.tag:
        raise BadInput("it has nothing to compare", hint='write tag = "v{version}", or a table of files')
    entries = {f"{component}/{path}": entry for component, path, entry in view.files()}
    found = [*_files(view, settings, entries), *_tags(view, settings)]
    messages = tuple(f"{name}: {told}" for name, told in found)
    fix = f"write {view.version} there, or release under the version that it says"
    return GateResult(not found, messages, tuple(name for name, _ in found if name in entries), fix)


def _files(view: ReleaseView, settings: Settings, entries: Mapping[str, TreeEntry]) -> Iterator[tuple[str, str]]:
    for glob, pattern in settings.files.items():
        compiled = _compiled(pattern)
        names = [name for name in entries if fnmatch.fnmatchcase(name, glob)]
        if not names:
            yield glob, "no file of any component has such a name"
        for name in names:
            text = view.store.read(entries[name].content, max_bytes=_MAX_FILE).decode("utf-8", "replace")
            said = {match[1].strip() for match in compiled.finditer(text)}
            if said != {view.version}:
                others = ", ".join(repr(one[:40]) for one in sorted(said)[:3]) or "nothing"
                yield name, f"says {others}, not {view.version!r}"


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern, re.MULTILINE)
    except re.error as exc:
        raise BadInput(f"not a regular expression: {pattern!r}: {exc}") from exc
    if compiled.groups != 1:
        raise BadInput(f"{pattern!r} has {compiled.groups} groups, one is wanted", hint="put the version in ( )")
    return compiled


def _tags(view: ReleaseView, settings: Settings) -> Iterator[tuple[str, str]]:
    if not settings.tag:
        return
    wanted = settings.tag.replace("{version}", view.version)
    for component, predicate in sorted(view.provenance.items()):
        revision = predicate.get("buildDefinition", {}).get("internalParameters", {}).get("revision", {})
        if wanted not in revision.get("tags", ()):
            yield component, f"was not put from a revision that bears the tag {wanted}"
        elif revision.get("dirty"):
            yield component, f"was put from a folder that differs from the tag {wanted}"
