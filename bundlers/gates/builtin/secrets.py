"""secrets: no key, token or private key is in what is shipped, in text, binaries or nested archives.

    [gates]
    secrets = { allow = ["3f2a6c0d9b1e4f75"], exclude = ["*/testdata/*"] }

A finding names rule, file, offset and fingerprint (the first 16 digits of the SHA-256 of the
secret), never the secret. A false alarm is allowed by its fingerprint; the list is part of the
settings, and their digest stands in the signed test-result. On its own it scans any folder, logs
and reports too: `scan_folder`. Rules: `bundlers.inspection.secret_forms`. What it cannot see: `casstore help gates`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput
from bundlers.gates.base import GateResult, Phase, ReleaseView
from bundlers.gates.globs import Globs
from bundlers.inspection import door
from bundlers.inspection.secret_forms.stream import Secret
from bundlers.inspection.units import Limits, text_of
from casstore.errors import OverBudget
from casstore.hostile import MEMORY, SECONDS, Budget

NAME = "secrets"
PHASE = Phase.INPUTS
SOURCES = True
"""Files are files."""
SUMMARY = "No key, token or private key is in any component: text, binary or nested archive."

_FIX = "take the secret out and revoke it; a false alarm is allowed by its fingerprint: secrets = { allow = [...] }"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is let through, by fingerprint; which files are not read, by glob over COMPONENT/PATH; and caps."""

    allow: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_depth: int = 3
    """How many archives inside each other are opened."""
    max_member: int = 256 * 1024 * 1024
    """Larger members are not opened; they are told as warnings."""
    max_seconds: int = SECONDS
    """By the clock, for one file, and one more for each MiB of it; a file that takes longer fails the gate."""
    max_memory: int = MEMORY
    """Bytes for one file, likewise."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """All of one file."""

    secrets: tuple[Secret, ...]
    unopened: tuple[tuple[str, str], ...] = ()
    """(place below the file, why)"""
    refused: str = ""
    """Why nothing of it is known."""


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Every file of every component, each content once."""
    seen: dict[Digest, Scanned] = {}
    excluded = Globs("exclude", settings.exclude)

    def scanned() -> Iterator[tuple[str, Scanned]]:
        for component, path, entry in view.files():
            name = f"{component}/{path}"
            if excluded.take(name):
                continue
            if entry.content not in seen:
                with view.store.open_blob(entry.content) as blob:
                    seen[entry.content] = scan_blob(blob, settings)
            yield name, seen[entry.content]

    return _result(scanned(), settings, excluded)


def scan_folder(folder: str, settings: Settings = Settings()) -> GateResult:
    """Every regular file below a folder. Raises BadInput without a folder."""
    if not os.path.isdir(folder):
        raise BadInput(f"{folder}: no such folder")
    excluded = Globs("exclude", settings.exclude)

    def scanned() -> Iterator[tuple[str, Scanned]]:
        for where, _, names in sorted(os.walk(folder)):
            for file in sorted(names):
                path = os.path.join(where, file)
                name = os.path.relpath(path, folder).replace(os.sep, "/")
                if os.path.isfile(path) and not os.path.islink(path) and not excluded.take(name):
                    with open(path, "rb") as stream:
                        yield name, scan_blob(stream, settings)

    return _result(scanned(), settings, excluded)


def _result(scanned: Iterator[tuple[str, Scanned]], settings: Settings, excluded: Globs) -> GateResult:
    messages, files, unopened, count, allowed = [], [], [], 0, set()
    for name, found in scanned:
        count += 1
        if found.refused:
            messages.append(f"{name}: could not be searched: {found.refused}")
            files.append(name)
        unopened += [f"{name}{place}: was searched as it is: {why}" for place, why in found.unopened]
        for secret in found.secrets:
            if secret.fingerprint in settings.allow:
                allowed.add(secret.fingerprint)
                continue
            where = f"{name}{secret.place}"
            messages.append(f"{where}: {secret.rule} at byte {secret.offset} (fingerprint {secret.fingerprint})")
            files.append(name)
    unused = sorted(set(settings.allow) - allowed)
    warnings = (*unopened, *excluded.idle, *(f"allow: nothing has the fingerprint {one} any more" for one in unused))
    measured = {"files": count, "allowed": len(allowed), "unopened": len(unopened)}
    return GateResult(not messages, tuple(messages), tuple(dict.fromkeys(files)), _FIX, measured, warnings)


def scan_blob(blob: BinaryIO, settings: Settings = Settings()) -> Scanned:
    """A file as it is, and what is inside when it is an archive; each secret once, where it lies deepest."""
    size = blob.seek(0, os.SEEK_END)
    blob.seek(0)
    limits = Limits(max_depth=settings.max_depth, max_member=settings.max_member)
    try:
        found = door.secrets(blob, size, limits, Budget(settings.max_seconds, settings.max_memory))
    except OverBudget as exc:
        return Scanned((), (), exc.message)
    secrets = [Secret(rule, mark, offset, text_of(place)) for rule, mark, offset, place in found["secrets"]]
    deepest = {(secret.rule, secret.fingerprint): secret for secret in secrets}
    return Scanned(tuple(deepest.values()), tuple((text_of(place), why) for place, why in found["unopened"]))
