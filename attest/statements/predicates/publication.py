"""Publication: what was laid out at one destination (docs/formats/predicates/publication.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from attest import digests
from attest.core import times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.statements.predicates import OWN

TYPE = OWN.format("publication")


@dataclass(frozen=True, slots=True)
class PublishedTarget:
    """A file of the published repository."""

    digest: Digest
    length: int


@dataclass(frozen=True, slots=True)
class PublishedRole:
    """A role of TUF that lists older targets, as it was signed last."""

    version: int
    """The number of the publication that signed it."""
    expires: datetime
    digest: Digest
    length: int


@dataclass(frozen=True, slots=True)
class Publication:
    """The nth publication to a destination; the subject `release` is what the channel names."""

    store: str
    ledger: str
    destination: str
    channel: str
    release: str
    number: int
    move: Digest
    time: datetime
    targets: Mapping[str, PublishedTarget]
    """Where `since` is not 0, only those that are new or others since then."""
    withdrawn: bool = False
    """It says that what the channel names may be installed no more."""
    since: int = 0
    """The number of the publication that the list goes on from; 0 where it names every target."""
    gone: tuple[str, ...] = ()
    """The targets of that one which are none any more."""
    roles: Mapping[str, PublishedRole] = field(default_factory=dict)
    """By name; where `since` is not 0, only those that are new or others since then."""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        going_on = {"since": self.since, "gone": list(self.gone)} if self.since else {}
        return {
            **going_on,
            **({"roles": {name: _role_json(role) for name, role in self.roles.items()}} if self.roles else {}),
            "store": self.store,
            "ledger": self.ledger,
            "destination": self.destination,
            "channel": self.channel,
            "release": self.release,
            "number": self.number,
            "move": self.move,
            "time": times.format(self.time),
            "withdrawn": self.withdrawn,
            "targets": {
                path: {"sha256": digests.hex_of(target.digest), "length": target.length}
                for path, target in self.targets.items()
            },
        }


def parse(value: object) -> Publication:
    """The predicate's JSON to value. Raises FormatError."""
    names = ("store", "ledger", "destination", "channel", "release", "number", "move", "time", "targets", "withdrawn")
    f = Fields(value, "publication", required=names, optional=("since", "gone", "roles"))
    return Publication(
        f.text("store"),
        f.text("ledger"),
        f.text("destination"),
        f.text("channel"),
        f.text("release"),
        f.integer("number", least=1),
        f.digest("move"),
        f.time("time"),
        {path: _target(path, item) for path, item in f.mapping("targets").items()},
        f.boolean("withdrawn", False),
        f.integer("since", 0),
        f.texts("gone", ()),
        {name: _role(name, item) for name, item in f.optional_mapping("roles").items()},
    )


def _target(path: str, value: object) -> PublishedTarget:
    f = Fields(value, f"publication: {path}", required=("sha256", "length"))
    return PublishedTarget(digests.from_hex(f.text("sha256")), f.integer("length"))


def _role_json(role: PublishedRole) -> dict[str, Any]:
    return {
        "version": role.version,
        "expires": times.format(role.expires),
        "sha256": digests.hex_of(role.digest),
        "length": role.length,
    }


def _role(name: str, value: object) -> PublishedRole:
    f = Fields(value, f"publication: {name}", required=("version", "expires", "sha256", "length"))
    return PublishedRole(
        f.integer("version", least=1), f.time("expires"), digests.from_hex(f.text("sha256")), f.integer("length")
    )
