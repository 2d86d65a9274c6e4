"""Blockers: the record of what stands in the way of a release (docs/formats/blocker.md).

save("blockers.json", "1.4.0", outcome.blockers)     # earlier ones that are gone become `resolved`
save_result("blockers.json", "budget", signed)       # blockers.budget.sigstore.json
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from attest import canonical
from attest.core import limits
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.errors import FormatError
from casstore.errors import Conflict, StorageUnavailable
from casstore.machine.modes import set_mode

FORMAT = "casstore-blockers/1"

OPEN, RESOLVED = "open", "resolved"
ERROR, WARNING = "error", "warning"
_FIELDS = ("issue_id", "gate", "severity", "message", "files", "suggested_fix", "status")


@dataclass(frozen=True, slots=True)
class Blocker:
    """One problem, found by one gate."""

    gate: str
    message: str
    files: tuple[str, ...] = ()
    suggested_fix: str = ""
    severity: str = ERROR
    status: str = OPEN

    @property
    def issue_id(self) -> str:
        """The same for the same problem: gate, message and files decide."""
        text = "\0".join((self.gate, self.message, *self.files))
        return f"{self.gate}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"

    def to_json(self) -> dict[str, Any]:
        """The record."""
        return {
            "issue_id": self.issue_id,
            "gate": self.gate,
            "severity": self.severity,
            "message": self.message,
            "files": list(self.files),
            "suggested_fix": self.suggested_fix,
            "status": self.status,
        }


def to_bytes(version: str, blockers: Iterable[Blocker]) -> bytes:
    """A blockers file: one record per issue, sorted by its id, indented for people."""
    records = {blocker.issue_id: blocker.to_json() for blocker in blockers}
    value = {"format": FORMAT, "version": version, "blockers": [records[key] for key in sorted(records)]}
    return json.dumps(value, indent=2, ensure_ascii=True).encode() + b"\n"


def parse(data: bytes) -> tuple[str, tuple[Blocker, ...]]:
    """Version and blockers of a file. Raises FormatError."""
    value = canonical.loads_object(data, what="blockers")
    f = Fields(value, "blockers", required=("format", "version", "blockers"))
    if f.text("format") != FORMAT:
        raise FormatError(f"blockers: the format is {f.text('format')[:60]!r}, not {FORMAT}")
    if not isinstance(value["blockers"], list):
        raise FormatError("blockers: blockers is no list")
    return f.text("version"), tuple(_blocker(item) for item in value["blockers"])


def _blocker(value: object) -> Blocker:
    f = Fields(value, "blocker", required=_FIELDS)
    made = Blocker(
        f.text("gate"),
        f.text("message"),
        f.texts("files"),
        f.text("suggested_fix"),
        f.text("severity"),
        f.text("status"),
    )
    if made.severity not in (ERROR, WARNING) or made.status not in (OPEN, RESOLVED):
        raise FormatError(f"blocker: unknown severity or status: {made.severity[:40]!r}, {made.status[:40]!r}")
    if f.text("issue_id") != made.issue_id:
        raise FormatError(f"blocker: issue_id is not what gate, message and files give: {f.text('issue_id')[:80]!r}")
    return made


def save(path: str, version: str, found: Sequence[Blocker]) -> tuple[Blocker, ...]:
    """Write a blockers file, whole or not at all; what an earlier one of this version had is kept as resolved.

    Raises Conflict when something else is at `path`.
    """
    now = {blocker.issue_id: blocker for blocker in found}
    for earlier in _earlier(path, version):
        now.setdefault(earlier.issue_id, replace(earlier, status=RESOLVED))
    _replace(path, to_bytes(version, now.values()))
    return tuple(now[key] for key in sorted(now))


def save_result(path: str, gate: str, signed: bytes) -> str:
    """Keep a failed gate's signed test-result beside the blockers file at `path`; its own path."""
    beside = f"{path.removesuffix('.json')}.{gate}.sigstore.json"
    _replace(beside, signed)
    return beside


def _earlier(path: str, version: str) -> tuple[Blocker, ...]:
    try:
        with open(path, "rb") as file:
            of, known = parse(file.read(limits.DOCUMENT + 1))
    except FileNotFoundError:
        return ()
    except (OSError, FormatError) as exc:
        raise Conflict(f"{path}: is no blockers file, and was not overwritten", hint="name another file") from exc
    return known if of == version else ()


def _replace(path: str, data: bytes) -> None:
    try:
        folder = os.path.dirname(os.path.abspath(path))
        os.makedirs(folder, exist_ok=True)
        fd, temp = tempfile.mkstemp(prefix=".blockers.", dir=folder)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            set_mode(temp, 0o644)
            os.replace(temp, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temp)
            raise
    except OSError as exc:
        raise StorageUnavailable(f"{path}: cannot be written: {exc.strerror}") from exc
