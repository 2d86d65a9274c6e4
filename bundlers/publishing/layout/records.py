"""The two unsigned tables of contents that a publication carries (docs/formats/publication.md).

Promises: one encoding each, strict reading. Leaves to others: everything they say is checked
against signed statements by `bundlers.consuming.verification`; a lie here only makes that fail.

    record = ChannelRecord.parse(data)
    proof = LedgerProof.parse(data)
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from attest import canonical
from attest.core import limits, shares
from attest.core.values import dataclass
from attest.digests import Digest, parse
from attest.errors import CasstoreError, FormatError
from attest.statements.envelopes import decode_base64
from bundlers.publishing.layout import published_paths
from casstore.ledger.release_objects import build_key, split_key

CHANNEL_FORMAT = "casstore-channel/2"
PROOF_FORMAT = "casstore-ledger-proof/1"


@dataclass(frozen=True, slots=True)
class PublishedBuild:
    """Where one build's archive and manifest lie."""

    archive: str
    path: str
    digest: Digest
    size: int
    product_manifest: str


@dataclass(frozen=True, slots=True)
class CanaryRecord:
    """What a share of a channel's consumers gets instead."""

    version: str
    release: Digest
    share: int
    """Percent."""
    began_number: int
    began: Digest
    """The entry of its first share."""
    builds: Mapping[str, PublishedBuild]
    withdrawn: tuple[int, ...] = ()
    """As of a channel: then nobody gets it."""

    @property
    def told(self) -> dict[str, Any]:
        """In short, for `--json`."""
        return {"version": self.version, "share": self.share, "withdrawn": bool(self.withdrawn)}

    def to_json(self) -> dict[str, Any]:
        """The field `canary`."""
        return {
            "version": self.version,
            "release": self.release,
            "share": self.share,
            "began": {"number": self.began_number, "digest": self.began},
            "products": _products_json(self.builds),
            "withdrawn": list(self.withdrawn),
        }


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """What a channel holds, and where to find what proves it."""

    store: str
    ledger: str
    channel: str
    version: str
    release: Digest
    move_number: int
    move: Digest
    trust_root_version: int
    trust_root: Digest
    builds: Mapping[str, PublishedBuild]
    """`product`, or `product/build` for one of several."""
    tars: int = 0
    """How many tars of objects there are."""
    alone: tuple[Digest, ...] = ()
    """The objects that lie on their own at `published_paths.object_path`."""
    withdrawn: tuple[int, ...] = ()
    """The entries of the revocations and suspensions by which nothing of it may be installed; () while it may."""
    canary: CanaryRecord | None = None

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return canonical.dumps(
            {
                "format": CHANNEL_FORMAT,
                "store": self.store,
                "ledger": self.ledger,
                "channel": self.channel,
                "version": self.version,
                "release": self.release,
                "move": {"number": self.move_number, "digest": self.move},
                "trustRoot": {"version": self.trust_root_version, "digest": self.trust_root},
                "products": _products_json(self.builds),
                "objects": {"tars": self.tars, "alone": list(self.alone)},
                "withdrawn": list(self.withdrawn),
                **({} if self.canary is None else {"canary": self.canary.to_json()}),
            }
        )

    @staticmethod
    def parse(data: bytes) -> ChannelRecord:
        """Bytes to record. Raises FormatError."""
        value = _load(data, "channel record", CHANNEL_FORMAT)
        try:
            return ChannelRecord(
                store=_text(value["store"]),
                ledger=_text(value["ledger"]),
                channel=_text(value["channel"]),
                version=_text(value["version"]),
                release=parse(value["release"]),
                move_number=_number(value["move"]["number"]),
                move=parse(value["move"]["digest"]),
                trust_root_version=_number(value["trustRoot"]["version"]),
                trust_root=parse(value["trustRoot"]["digest"]),
                builds=_builds(value["products"]),
                tars=_number(value["objects"]["tars"]),
                alone=tuple(parse(item) for item in value["objects"]["alone"]),
                withdrawn=tuple(_number(item) for item in value["withdrawn"]),
                canary=_canary(value["canary"]) if "canary" in value else None,
            )
        except (KeyError, TypeError, AttributeError, CasstoreError) as exc:
            raise FormatError(f"channel record: {exc}") from exc

    @property
    def named_builds(self) -> Iterator[tuple[str, PublishedBuild]]:
        """(version, build) of all that consumers may get."""
        yield from ((self.version, build) for build in self.builds.values())
        if self.canary is not None:
            yield from ((self.canary.version, build) for build in self.canary.builds.values())

    @property
    def files(self) -> tuple[str, ...]:
        """The targets that are the channel's own."""
        tars = (published_paths.objects_path(self.channel, number) for number in range(1, self.tars + 1))
        return (
            published_paths.channel_path(self.channel),
            published_paths.state_path(self.channel),
            *tars,
            *map(published_paths.object_path, self.alone),
        )


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """A ledger entry's bytes, its statement's bytes, and its inclusion proof."""

    entry: bytes
    statement: bytes
    inclusion: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LedgerProof:
    """The entries that a consumer needs, each provable under one checkpoint."""

    store: str
    ledger: str
    size: int
    entries: tuple[ProvenEntry, ...]

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        data = canonical.dumps(
            {
                "format": PROOF_FORMAT,
                "store": self.store,
                "ledger": self.ledger,
                "size": self.size,
                "entries": [
                    {
                        "entry": _base64(item.entry),
                        "statement": _base64(item.statement),
                        "inclusion": [_base64(node) for node in item.inclusion],
                    }
                    for item in self.entries
                ],
            }
        )
        limits.check(data, limits.LEDGER_PROOF, "ledger proof")
        return data

    @staticmethod
    def parse(data: bytes) -> LedgerProof:
        """Bytes to proof. Raises FormatError."""
        value = _load(data, "ledger proof", PROOF_FORMAT)
        try:
            return LedgerProof(
                store=_text(value["store"]),
                ledger=_text(value["ledger"]),
                size=_number(value["size"]),
                entries=tuple(_proven(item) for item in value["entries"]),
            )
        except (KeyError, TypeError, AttributeError, CasstoreError) as exc:
            raise FormatError(f"ledger proof: {exc}") from exc


def _load(data: bytes, what: str, wanted: str) -> dict[str, Any]:
    value = canonical.loads_canonical(data, what=what, max_bytes=limits.LEDGER_PROOF)
    if value.get("format") != wanted:
        raise FormatError(
            f"{what}: its format is {str(value.get('format'))[:60]!r}, not {wanted}",
            hint="a newer casstore may read it",
        )
    return value


def _products_json(builds: Mapping[str, PublishedBuild]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key, build in builds.items():
        product, name = split_key(key)
        found.setdefault(product, {})[name] = {
            "archive": build.archive,
            "path": build.path,
            "digest": build.digest,
            "size": build.size,
            "productManifest": build.product_manifest,
        }
    return found


def _builds(value: Mapping[str, Any]) -> dict[str, PublishedBuild]:
    return {
        build_key(_text(product), _text(name)): _build(item)
        for product, builds in value.items()
        for name, item in builds.items()
    }


def _canary(value: Mapping[str, Any]) -> CanaryRecord:
    return CanaryRecord(
        version=_text(value["version"]),
        release=parse(value["release"]),
        share=shares.check(_number(value["share"]), "channel record"),
        began_number=_number(value["began"]["number"]),
        began=parse(value["began"]["digest"]),
        builds=_builds(value["products"]),
        withdrawn=tuple(_number(item) for item in value["withdrawn"]),
    )


def _build(value: Mapping[str, Any]) -> PublishedBuild:
    return PublishedBuild(
        archive=_text(value["archive"]),
        path=_text(value["path"]),
        digest=parse(value["digest"]),
        size=_number(value["size"]),
        product_manifest=_text(value["productManifest"]),
    )


def _proven(value: Mapping[str, Any]) -> ProvenEntry:
    return ProvenEntry(
        entry=decode_base64(value["entry"], "entry"),
        statement=decode_base64(value["statement"], "statement"),
        inclusion=tuple(decode_base64(node, "inclusion") for node in value["inclusion"]),
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FormatError("a number is wanted")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise FormatError("text is wanted")
    return value
