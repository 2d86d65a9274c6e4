"""Whether the witnesses of a trust root signed a checkpoint: the same question for publisher, consumer and kit.

Promises: a line counts only for the very checkpoint, by a key that the trust root names; what lies there and is no
such line is as good as nothing. Leaves to others: how a file is read.

    found = look([read], root.witnesses, checkpoint)
    found.lacking                       # "1 of 2 witnesses have signed ...", or None
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime

from attest.core.values import dataclass
from attest.errors import FormatError, VerificationError
from attest.log import checkpoints, cosignatures
from attest.log.checkpoints import Checkpoint
from attest.trust.witnesses import Witness, Witnesses
from bundlers.errors import TooLarge
from bundlers.publishing.layout import published_paths
from bundlers.publishing.layout.destinations import Destination
from casstore.errors import NoSuchObject, StorageUnavailable

_FIRST_PAUSE, _LAST_PAUSE = 0.5, 15.0

ReadLine = Callable[[str], bytes | None]
"""A plain file by its path, or None."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """Which witnesses signed a checkpoint, and what is missing."""

    size: int
    asked: Witnesses | None
    notes: Mapping[str, bytes]
    """Name -> the note with its line; no more than were asked for."""
    away: Mapping[str, str] = field(default_factory=dict)
    """Name -> why nobody knows whether it has signed: a place did not answer."""

    @property
    def enough(self) -> bool:
        """Whether the quorum is there; where none is asked for it is."""
        return self.asked is None or len(self.notes) >= self.asked.quorum

    @property
    def missing(self) -> tuple[str, ...]:
        """The names that have not signed; none when there are enough."""
        return (
            ()
            if self.enough or self.asked is None
            else tuple(w.name for w in self.asked.keys if w.name not in self.notes)
        )

    @property
    def lacking(self) -> str | None:
        """What is missing, in words; None when there are enough."""
        if self.enough or self.asked is None:
            return None
        return (
            f"the checkpoint over {self.size} entries is signed by {len(self.notes)} of {self.asked.quorum} witnesses"
            f" (missing: {', '.join(self.missing)})"
        )

    @property
    def unread(self) -> str | None:
        """What did not answer, where there may be enough lines for all that one knows; None where there are not."""
        if self.enough or self.asked is None or len(self.notes) + len(self.away) < self.asked.quorum:
            return None
        why = "; ".join(f"{name}: {told}" for name, told in self.away.items())
        return f"whether witnesses signed the checkpoint over {self.size} entries could not be read ({why})"

    def files(self) -> dict[str, bytes]:
        """Path -> note, as they lie in a publication or kit."""
        known = {one.name: one for one in self.asked.keys} if self.asked else {}
        return {
            published_paths.cosignature_path(self.size, known[name].key_id): note for name, note in self.notes.items()
        }


@dataclass(frozen=True, slots=True)
class CosignatureLines:
    """Where the lines of witnesses lie beside the publication itself, and how long they are waited for."""

    places: Sequence[ReadLine] = ()
    wait: float = 0.0
    """Seconds."""

    def wait_until(self, lacking: Callable[[], str | None]) -> str | None:
        """Ask until nothing is lacking or the time is over, less often as time goes by; what is lacking then."""
        begun, pause = time.monotonic(), _FIRST_PAUSE
        while (missing := lacking()) is not None and (left := begun + self.wait - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LAST_PAUSE)
        return missing


NO_LINES = CosignatureLines()
"""Only those at the destination, and nobody waits."""


def look(places: Sequence[ReadLine], asked: Witnesses | None, checkpoint: Checkpoint) -> Cosigned:
    """Ask for witness by witness, at place by place, until there are enough."""
    notes: dict[str, bytes] = {}
    away: dict[str, str] = {}
    for one in asked.keys if asked else ():
        if asked is not None and len(notes) >= asked.quorum:
            break
        for read in places:
            try:
                note = _line(read, one, checkpoint)
            except StorageUnavailable as exc:
                away[one.name] = exc.message
                continue
            if note is not None:
                notes[one.name] = note
                break
    return Cosigned(checkpoint.size, asked, notes, {name: why for name, why in away.items() if name not in notes})


def line(read: ReadLine, one: Witness, checkpoint: Checkpoint) -> bytes | None:
    """The note of this witness over this checkpoint, as it lies at a place; None where none does."""
    try:
        return _line(read, one, checkpoint)
    except StorageUnavailable:
        return None  # one that cannot be read: the others may be enough


def _line(read: ReadLine, one: Witness, checkpoint: Checkpoint) -> bytes | None:
    """As `line`. Raises StorageUnavailable where the place does not answer: a larger file than a note is none."""
    try:
        note = read(published_paths.cosignature_path(checkpoint.size, one.key_id))
        if note is not None:
            cosignatures.time_of(note, one.key, checkpoint)
    except (FormatError, VerificationError, NoSuchObject, TooLarge):
        return None
    return note


def newest(places: Sequence[ReadLine], one: Witness, origin: str) -> tuple[int, datetime] | None:
    """(size, when it was signed) of the newest line of a witness at some places; None where there is none."""
    found = []
    for read in places:
        try:
            note = read(published_paths.newest_cosignature_path(one.key_id))
            if note is not None and (shown := checkpoints.parse(note)[0]).origin == origin:
                found.append((shown.size, cosignatures.time_of(note, one.key, shown)))
        except (FormatError, VerificationError, NoSuchObject, StorageUnavailable):
            continue  # as above
    return max(found, default=None)


def bring(
    destination: Destination, places: Sequence[ReadLine], asked: Witnesses | None, checkpoint: Checkpoint
) -> Cosigned:
    """As `look`, there and elsewhere; what was found elsewhere is put there too, over anything that is no such line."""
    here = small(destination)
    found = look([here, *places], asked, checkpoint)
    there = look([here], asked, checkpoint).notes
    lines = Cosigned(found.size, asked, {name: note for name, note in found.notes.items() if name not in there})
    for path, note in lines.files().items():
        destination.point(path, note)
    return found


def small(destination: Destination) -> ReadLine:
    """Reads no more of a file than a note may have."""
    return lambda path: destination.read(path, most=checkpoints.MAX_NOTE + 1)
