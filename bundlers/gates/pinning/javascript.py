"""The locks of npm, pnpm and yarn: each package that comes from elsewhere has an integrity."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bundlers.gates.pinning import forms, yaml_nodes


def package_lock(text: str) -> Iterator[str]:
    """npm's package-lock.json (version 2 and 3), npm-shrinkwrap.json."""
    value = json.loads(text)
    packages = value.get("packages") if isinstance(value, dict) else None
    if not isinstance(packages, dict):
        raise ValueError("it has no packages: write it with npm 7 or newer")
    for name, row in packages.items():
        if not isinstance(row, dict):
            raise ValueError(f"{name[:80]}: is no object")
        if not _own(name, row) and not _fixed(row):
            yield f"{name} has no sha512 integrity"


def _own(name: str, row: Mapping[str, Any]) -> bool:
    """The project itself, its workspaces, and what lies inside a package that has a digest."""
    remote = "://" in str(row.get("resolved", ""))
    return bool(("node_modules/" not in name and not remote) or (row.get("link") and not remote) or row.get("inBundle"))


def _fixed(row: Mapping[str, Any]) -> bool:
    return forms.is_integrity(str(row.get("integrity", ""))) or forms.is_git_source(str(row.get("resolved", "")))


def pnpm_lock(text: str) -> Iterator[str]:
    """pnpm-lock.yaml: `packages.NAME.resolution.integrity`, or a full revision."""
    documents = [one for one in yaml_nodes.documents(text) if isinstance(one, dict)]
    if not any("lockfileVersion" in document for document in documents):
        raise ValueError("it has no lockfileVersion")
    for document in documents:
        packages = document.get("packages")
        for name, row in packages.items() if isinstance(packages, dict) else ():
            found = row.get("resolution") if isinstance(row, dict) else None
            resolution = found if isinstance(found, dict) else {}
            if resolution.get("type") == "directory":
                continue
            pinned = forms.is_integrity(str(resolution.get("integrity", "")))
            if not pinned and not forms.is_revision(str(resolution.get("commit", ""))):
                yield f"{name} has no integrity"


_ENTRY = re.compile(r"(?m)^(?=\S)(?!#)(?P<head>[^\n]*):\s*\n(?P<body>(?:[ \t]+[^\n]*(?:\n|\Z)|\r?\n)*)")


def yarn_lock(text: str) -> Iterator[str]:
    """yarn.lock of version 1 (`integrity`), and of later ones (`checksum`)."""
    entries = list(_ENTRY.finditer(text.replace("\r\n", "\n")))
    if not entries:
        raise ValueError("it has no entries")
    for entry in entries:
        head, body = entry["head"].strip().strip('"'), entry["body"]
        if head == "__metadata" or re.search(r"(?m)^\s+resolution: .*@(?:workspace|link|portal):", body):
            continue
        integrity = re.search(r"(?m)^\s+integrity \"?([^\"\n]+)", body)
        checksum = re.search(r"(?m)^\s+checksum: \"?(?:\w+/)?[0-9a-f]{128}\b", body)
        if not checksum and not (integrity and forms.is_integrity(integrity[1])):
            yield f"{head[:100]} has no integrity"
