"""What explains common content of a release's products: a reference of what is others', or an acceptance.

A value that release objects list and isolation attestations repeat; what a channel's release had not
is new to its approvers.

    Explained.parse(row).key
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates.isolation import Isolation

REFERENCE, ACCEPTANCE = "reference", "acceptance"

Key = tuple[str, str, str, bool]
"""(kind, tree, products, whole)"""


@dataclass(frozen=True, slots=True)
class Explained:
    """One reference, for all products, or one acceptance between two."""

    kind: str
    name: str
    tree: Digest
    bytes: int
    files: int
    between: tuple[str, ...] = ()
    reason: str = ""
    whole: bool = False

    @property
    def key(self) -> Key:
        """By what it is known: name and reason are labels."""
        return self.kind, self.tree, " ".join(self.between), self.whole

    def to_json(self) -> dict[str, Any]:
        """The row."""
        value = {"kind": self.kind, "name": self.name, "tree": self.tree, "bytes": self.bytes, "files": self.files}
        if self.kind == REFERENCE:
            return value
        return {**value, "between": list(self.between), "reason": self.reason, "whole": self.whole}

    @staticmethod
    def parse(value: object, what: str) -> Explained:
        """A row to value. Raises FormatError."""
        names = ("kind", "name", "tree", "bytes", "files")
        f = Fields(value, what, required=names, optional=("between", "reason", "whole"))
        between = f.texts("between", ())
        made = Explained(
            f.text("kind"),
            f.text("name"),
            f.digest("tree"),
            f.integer("bytes"),
            f.integer("files"),
            between,
            f.text("reason", ""),
            f.boolean("whole", False),
        )
        if made.to_json() != value or made.kind not in (REFERENCE, ACCEPTANCE):
            raise FormatError(f"{what}: {made.name[:60]!r} is neither a reference nor an acceptance")
        if made.kind == ACCEPTANCE and (len(between) != 2 or list(between) != sorted(set(between))):
            raise FormatError(f"{what}: {made.name[:60]!r} is between two products, sorted")
        return made


def keys_of(claim: Isolation) -> set[Key]:
    """What an isolation attestation names. Raises FormatError."""
    references = claim.parameters.get("references", {})
    if not isinstance(references, Mapping):
        raise FormatError("isolation: references is no table")
    accepted = {
        (ACCEPTANCE, str(row.get("tree")), " ".join(map(str, row.get("between", ()))), row.get("whole") is not False)
        for row in claim.accepted
    }
    return accepted | {(REFERENCE, str(tree), "", False) for tree in references.values()}


def ordered(rows: Iterable[Explained]) -> tuple[Explained, ...]:
    """As a release object lists them: by key, then by name."""
    return tuple(sorted(rows, key=lambda row: (row.key, row.name)))
