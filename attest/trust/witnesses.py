"""The witnesses that a trust root names, and how many of them must have signed a checkpoint (docs/formats/witness.md).

found = parse(document["witnesses"], "trust root: witnesses")
found.quorum, found.lies_stopped, found.forks_stopped
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.errors import BadInput, FormatError
from attest.keys import keys
from attest.log.cosignatures import WitnessKey

CONSISTENCY, FOLD = "consistency", "fold"


@dataclass(frozen=True)
class Witness:
    """One witness: what its key says of a checkpoint."""

    name: str
    kind: str
    """`fold`: what the seals say was computed anew; `consistency`: it continues what was signed before."""
    public_pem: bytes

    @cached_property
    def key(self) -> WitnessKey:
        """Its key under its name."""
        return WitnessKey.of_pem(self.name, self.public_pem)

    @cached_property
    def key_id(self) -> str:
        """The hex digits that its files are named by."""
        return self.key.key_id.hex()

    @cached_property
    def identity(self) -> str:
        """The identity of its key."""
        return keys.identity_of(self.key.public)

    def to_json(self) -> dict[str, Any]:
        """The entry under its name."""
        return {"kind": self.kind, "publicKey": self.public_pem.decode()}


@dataclass(frozen=True, slots=True)
class Witnesses:
    """All of them, by name, and how many must sign."""

    quorum: int
    keys: tuple[Witness, ...]

    @property
    def lies_stopped(self) -> int:
        """With so many witnesses that lie a false seal still gets no quorum; -1: it needs none of them."""
        return self.quorum - sum(one.kind == CONSISTENCY for one in self.keys) - 1

    @property
    def forks_stopped(self) -> int:
        """With so many witnesses that lie two histories still get no quorum each; -1: they need none of them."""
        return max(2 * self.quorum - len(self.keys) - 1, -1)

    @property
    def told(self) -> tuple[str, ...]:
        """What the numbers stand for, in words."""
        asked = f"{self.quorum} of {len(self.keys)} witnesses must sign each checkpoint"
        return (
            asked,
            _told("a false seal", self.lies_stopped),
            _told("two histories at once", self.forks_stopped),
        )

    def to_json(self) -> dict[str, Any]:
        """The field `witnesses`."""
        return {"quorum": self.quorum, "keys": {one.name: one.to_json() for one in self.keys}}


def _told(what: str, bad: int) -> str:
    if bad < 0:
        return f"{what}: NOT stopped, even if all witnesses are honest"
    lying = {0: "none of them lies", 1: "at most 1 of them lies"}.get(bad, f"at most {bad} of them lie")
    return f"{what}: stopped while {lying}"


def parse(value: object, what: str) -> Witnesses:
    """The field to value. Raises FormatError."""
    f = Fields(value, what, required=("quorum", "keys"))
    found = tuple(_witness(name, item, what) for name, item in sorted(f.mapping("keys").items()))
    quorum = f.integer("quorum", least=1)
    if quorum > len(found):
        raise FormatError(f"{what}: a quorum of {quorum} is more than the {len(found)} witnesses")
    for values, told in (([one.identity for one in found], "key"), ([one.key_id for one in found], "key id")):
        if len(set(values)) < len(values):
            raise FormatError(f"{what}: two of them have the same {told}")
    return Witnesses(quorum, found)


def check_apart(found: Witnesses, identities: Mapping[str, str]) -> None:
    """No witness is somebody who signs in the ledger (identity -> name). Raises FormatError."""
    for one in found.keys:
        if one.identity in identities:
            raise FormatError(
                f"trust root: the witness {one.name} has the key of {identities[one.identity]}",
                hint="a witness needs a key of its own, on a machine of its own",
            )


def _witness(name: str, value: object, what: str) -> Witness:
    f = Fields(value, f"{what}: {name[:80]}", required=("kind", "publicKey"))
    one = Witness(name, f.text("kind"), f.text("publicKey").encode())
    if one.kind not in (CONSISTENCY, FOLD):
        raise FormatError(f"{f.what}: no such kind: {one.kind[:40]!r}", hint=f"kinds: {CONSISTENCY}, {FOLD}")
    try:
        canonical = keys.public_to_pem(one.key.public)
    except BadInput as exc:
        raise FormatError(f"{f.what}: {exc.message}") from exc
    if canonical != one.public_pem:
        raise FormatError(f"{f.what}: publicKey is not written as PEM usually is")
    return one
