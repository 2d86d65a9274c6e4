"""What the store, the ledger and the doors to the outside raise; the root is in `attest.errors`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attest.errors import CasstoreError, PolicyDenied

if TYPE_CHECKING:
    from attest.digests import Digest
    from attest.judging.decisions import Decision


class ConfigError(CasstoreError):
    """`casstore.toml` cannot be read as it is; the message names file, line and key."""

    exit_code = 2


class OverBudget(CasstoreError):
    """Foreign bytes cost more time or memory than a file may, or ended their parser; nothing of them was believed."""

    exit_code = 3


class UnsupportedInput(CasstoreError):
    """A file or name that a tree cannot hold: FIFO, device, `..`, a link that leaves, changed while read."""


class NoSuchStore(CasstoreError):
    """There is no store at this URL."""

    exit_code = 8


class NotWritable(CasstoreError):
    """The store, or its scheme, can only be read here."""

    exit_code = 12


class NoSuchObject(CasstoreError):
    """No such digest, release, channel or component; or its bytes are gone."""

    exit_code = 8


class StoreDamaged(CasstoreError):
    """Stored bytes, the ledger's chain or an index are not what they must be."""

    exit_code = 7


class ObjectDamaged(StoreDamaged):
    """An object's bytes do not have its digest; they were not served."""


class Conflict(CasstoreError):
    """It exists with other bytes, or the version is taken; nothing was overwritten."""

    exit_code = 9


class SealDisputed(StoreDamaged):
    """A seal of the role `ledger` says something else than the fold of this reader."""

    def __init__(
        self,
        number: int,
        identity: str,
        state: Digest,
        full: Digest,
        own_state: Digest,
        own_full: Digest,
        rows: tuple[str, ...] = (),
    ) -> None:
        told = ", ".join(rows[:5]) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
        super().__init__(
            f"the seal of ledger entry {number} names the state {state} (full {full}),"
            f" the entries before it add up to {own_state} (full {own_full});"
            f" the rows that differ: {told or 'not known, its leaves are not here'}",
            hint="nothing is moved or published until the owners settle it: keys ceremony draft --settle ENTRY=DIGEST,"
            " or without its signer in the role ledger",
        )
        self.dispute = (number, identity, state, full, own_state, own_full, rows)


class SettledOtherwise(StoreDamaged):
    """The owners say that another state was true than the one that this reader's own fold comes to."""

    def __init__(self, number: int, state: Digest, own_state: Digest) -> None:
        super().__init__(
            f"the owners settled the seal of ledger entry {number} with the state {state},"
            f" the entries before it add up to {own_state} here",
            hint="upgrade casstore, or compare the ledger with another copy; nothing after it is believed",
        )


class GivenUp(Conflict):
    """A collection of garbage took bytes while they were put to use; putting again stores them anew."""

    def __init__(self, what: str) -> None:
        message = f"{what}: was given up by a collection of garbage meanwhile; nothing was recorded"
        super().__init__(message, hint="run the command again: it stores the bytes anew")


class StorageUnavailable(CasstoreError):
    """Disk full, time-out, network away, server error; nothing was reported as done."""

    exit_code = 12


class PolicyViolation(CasstoreError):
    """A host outside `[network] allow`; no socket was opened."""

    exit_code = 12


class MoveDenied(PolicyDenied):
    """A channel may not move; `decision` says which rules are open and who may act."""

    def __init__(self, message: str, *, decision: Decision, names: Mapping[str, str], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.decision = decision
        self.names = dict(names)
        """What the commands that mend it are about: release, channel, action."""
