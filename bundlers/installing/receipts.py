"""The install receipt: what was verified, for what, and what was there before (docs/formats/receipt.md).

receipt = Receipt.parse(data)
receipt.name                      # '1.2.0-e1c3a5b7d9f1', the folder under versions/ too
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from attest import canonical
from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest, parse, short
from attest.errors import BadInput, FormatError
from casstore.ledger.release_objects import build_key
from casstore.ledger.states.views import RecordedSigner
from casstore.objects import small_records

FORMAT = "casstore-receipt/4"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,150}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One installed version of one product."""

    store: str
    ledger: str
    channel: str
    product: str
    build: str
    platform: str
    """As people read it; empty where the build does not say."""
    version: str
    release: Digest
    archive_name: str
    archive: Digest
    archive_size: int
    product_manifest: Digest
    move_number: int
    move: Digest
    trust_root_version: int
    trust_root: Digest
    checkpoint_size: int
    root_hash: Digest
    evidence: tuple[Digest, ...]
    approved_by: tuple[str, ...]
    made: tuple[Digest, ...]
    """The release, all its archives and the trees of its components."""
    attestations: tuple[Digest, ...]
    """The ids of all that it leans on."""
    signers: tuple[RecordedSigner, ...]
    source: str
    verdict: str
    as_of: datetime
    installed_at: datetime
    previous: str | None

    @property
    def key(self) -> str:
        """`product`, or `product/build` for one of several."""
        return build_key(self.product, self.build)

    @property
    def name(self) -> str:
        """`<version>-<first 12 hex digits of the archive's digest>`."""
        return check_name(f"{self.version}-{short(self.archive)}")

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "format": FORMAT,
            "store": self.store,
            "ledger": self.ledger,
            "channel": self.channel,
            "product": self.product,
            "build": self.build,
            "platform": self.platform,
            "version": self.version,
            "release": self.release,
            "archive": {"name": self.archive_name, "digest": self.archive, "size": self.archive_size},
            "productManifest": self.product_manifest,
            "move": {"number": self.move_number, "digest": self.move},
            "trustRoot": {"version": self.trust_root_version, "digest": self.trust_root},
            "checkpoint": {"size": self.checkpoint_size, "rootHash": self.root_hash},
            "evidence": list(self.evidence),
            "approvedBy": list(self.approved_by),
            "leansOn": {
                "made": list(self.made),
                "attestations": list(self.attestations),
                "signers": [{"identity": signer.identity, "entry": signer.entry} for signer in self.signers],
            },
            "source": self.source,
            "verdict": self.verdict,
            "asOf": times.format(self.as_of),
            "installedAt": times.format(self.installed_at),
            "previous": self.previous,
        }

    def to_bytes(self) -> bytes:
        """Canonical bytes, with a token that shows a flipped bit."""
        return canonical.dumps(small_records.sealed(self.to_json()))

    @staticmethod
    def parse(data: bytes) -> Receipt:
        """Bytes to receipt. Raises FormatError."""
        value = canonical.loads_canonical(data, what="receipt")
        if not small_records.is_sealed(value):
            raise FormatError("receipt: its token is not that of what it says", hint="install again into this folder")
        try:
            return _receipt(value)
        except (KeyError, TypeError, BadInput) as exc:
            raise FormatError(f"receipt: {type(exc).__name__}: {exc}", hint="install again into this folder") from exc


def same_but_for_time(one: Receipt, other: Receipt) -> bool:
    """Whether two receipts say the same apart from when, from where and what was before."""
    passing = ("installed_at", "as_of", "source", "previous", "verdict")
    left, right = ({k: v for k, v in asdict(r).items() if k not in passing} for r in (one, other))
    return left == right


def check_name(name: object) -> str:
    """An installed version's name. Raises FormatError unless it is one plain path segment."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FormatError(f"not the name of an installed version: {str(name)[:100]!r}")
    return name


def _receipt(value: Mapping[str, Any]) -> Receipt:
    if value["format"] != FORMAT:
        raise FormatError(f"receipt: its format is {str(value['format'])[:60]!r}, not {FORMAT}")
    if value["verdict"] not in ("valid", "stale"):
        raise FormatError("receipt: unknown verdict")
    return Receipt(
        store=_text(value["store"]),
        ledger=_text(value["ledger"]),
        channel=_text(value["channel"]),
        product=_text(value["product"]),
        build=_text(value["build"]),
        platform=_text(value["platform"]),
        version=_text(value["version"]),
        release=parse(value["release"]),
        archive_name=_text(value["archive"]["name"]),
        archive=parse(value["archive"]["digest"]),
        archive_size=_number(value["archive"]["size"]),
        product_manifest=parse(value["productManifest"]),
        move_number=_number(value["move"]["number"]),
        move=parse(value["move"]["digest"]),
        trust_root_version=_number(value["trustRoot"]["version"]),
        trust_root=parse(value["trustRoot"]["digest"]),
        checkpoint_size=_number(value["checkpoint"]["size"]),
        root_hash=parse(value["checkpoint"]["rootHash"]),
        evidence=tuple(parse(item) for item in value["evidence"]),
        approved_by=tuple(_text(item) for item in value["approvedBy"]),
        made=tuple(parse(item) for item in value["leansOn"]["made"]),
        attestations=tuple(parse(item) for item in value["leansOn"]["attestations"]),
        signers=tuple(
            RecordedSigner(_text(item["identity"]), _number(item["entry"])) for item in value["leansOn"]["signers"]
        ),
        source=_text(value["source"]),
        verdict=value["verdict"],
        as_of=times.parse(value["asOf"]),
        installed_at=times.parse(value["installedAt"]),
        previous=None if value["previous"] is None else check_name(value["previous"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text is wanted")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("a number is wanted")
    return value
