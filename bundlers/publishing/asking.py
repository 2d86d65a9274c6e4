"""Witnesses that are asked for their lines by whoever publishes, because they follow nothing by themselves.

Promises: each one is asked at most once a run, and again only while it is away; a line lies where a witness that pulls
would have put it; what one says of another history is remembered for the report, whatever others say. Leaves to
others: how a witness is asked (`witnessing.c2sp`), and whether there are enough lines (`cosigned`).

    asking = Asking({"witness.example/w1": ask})
    asking.ask(destination, witnesses, question)
    asking.told, asking.disputed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace

from attest.core.values import dataclass
from attest.errors import CasstoreError, PolicyDenied, VerificationError
from attest.log.checkpoints import Checkpoint, parse
from attest.trust.trust_roots import TrustRoot
from attest.trust.witnesses import Witness
from bundlers.publishing import cosigned
from bundlers.publishing.layout import published_paths
from bundlers.publishing.layout.destinations import Destination
from casstore.errors import StorageUnavailable


class OtherHistory(VerificationError):
    """A witness signed what this ledger does not go on from, or more than it has."""


class Refused(PolicyDenied):
    """A witness does not sign this checkpoint; somebody has to set something right."""


class Outrun(Refused):
    """It signed a newer checkpoint of this ledger already: only the next one can have its line."""


@dataclass(frozen=True, slots=True)
class Question:
    """A checkpoint that witnesses are to sign, and what proves that it goes on from a smaller one."""

    note: bytes
    """With the ledger's own lines alone."""
    root: TrustRoot
    proof: Callable[[int], Sequence[bytes]]
    """The consistency proof from a smaller size, which is not 0."""
    known: int
    """So many entries there are, as far as the asker knows."""
    before: int = 0
    """What this witness signed last, as far as the asker knows."""

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says."""
        return parse(self.note)[0]

    @property
    def signed_by(self) -> frozenset[tuple[str, bytes]]:
        """(name, key id) of the note's lines."""
        return frozenset((one.name, one.key_id) for one in parse(self.note)[1])


Ask = Callable[[Question, Witness], bytes]
"""The note with the witness's line. Raises CasstoreError; StorageUnavailable: it may be asked again."""


@dataclass
class Asking:
    """Whom to ask, and what they said."""

    asks: Mapping[str, Ask] = field(default_factory=dict)
    """By the names of the trust root."""
    said: dict[str, CasstoreError] = field(default_factory=dict)
    """Why there is no line."""
    _of: Checkpoint | None = None
    """The checkpoint that they spoke of."""

    def ask(self, destination: Destination, named: Sequence[Witness], question: Question) -> None:
        """Ask each one that has no line at the destination yet, and put what it answers there."""
        here, checkpoint = cosigned.small(destination), question.checkpoint
        if checkpoint != self._of:
            self.said, self._of = {}, checkpoint
        for one in named:
            ask = self.asks.get(one.name)
            final = not isinstance(self.said.get(one.name), StorageUnavailable | None)
            if ask is None or final or cosigned.line(here, one, checkpoint) is not None:
                continue
            newest = cosigned.newest([here], one, checkpoint.origin)
            before = newest[0] if newest else 0
            try:
                note = ask(replace(question, before=min(before, checkpoint.size)), one)
            except CasstoreError as exc:
                self.said[one.name] = exc
                continue
            self.said.pop(one.name, None)
            put(destination, one, note, before)

    @property
    def told(self) -> dict[str, str]:
        """Name -> why there is no line, in words."""
        return {name: f"{exc.message}{f'; {exc.hint}' if exc.hint else ''}" for name, exc in sorted(self.said.items())}

    @property
    def disputed(self) -> bool:
        """Whether one of them knows another history than ours."""
        return any(isinstance(exc, OtherHistory) for exc in self.said.values())

    @property
    def outrun(self) -> bool:
        """Whether one of them signed a newer checkpoint of this ledger, so that only the next one can have its line."""
        return any(isinstance(exc, Outrun) for exc in self.said.values())


def put(destination: Destination, one: Witness, note: bytes, newest: int) -> None:
    """Where a witness itself would put it."""
    size = parse(note)[0].size
    destination.point(published_paths.cosignature_path(size, one.key_id), note)
    if size >= newest:
        destination.point(published_paths.newest_cosignature_path(one.key_id), note)
