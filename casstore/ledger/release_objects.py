"""The release object: which archives, manifests and build evidence make one version.

A value and its one encoding (docs/formats/release-object.md); its digest is the release's
identity. Making one is the release pipeline's work, judging one is left to policy.

    release = parse(store.read(digest))
    release.archives["core-1.4.0.tar.gz"]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest import canonical, digests
from attest.digests import Digest
from attest.errors import BadInput, CasstoreError, FormatError
from attest.judging.explained import Explained, ordered

FORMAT = "casstore-release/1"

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_LIKE_A_VERSION = re.compile(r"v?[0-9]|[^.]+\.")
"""A channel begins with a letter and has no dot, so that what a person names is one of the two, now and later."""
_HEX = re.compile(r"[0-9a-f]{8,64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,254}")
_FIELDS = frozenset(
    {"format", "store", "ledger", "version", "epoch", "components", "products", "checksums", "evidence", "config"}
)


@dataclass(frozen=True, slots=True)
class ReleaseArchive:
    """The file that is shipped for one product."""

    name: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class ReleaseProduct:
    """One product of a release."""

    format: str
    archive: ReleaseArchive
    product_manifest: Digest


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a product line."""

    store: str
    ledger: str
    version: str
    epoch: int
    components: Mapping[str, Digest]
    products: Mapping[str, ReleaseProduct]
    checksums: Digest
    evidence: tuple[Digest, ...]
    config: Digest | None = None
    explained: tuple[Explained, ...] = ()
    """What explains common content of its products: references and acceptances."""

    @property
    def archives(self) -> dict[str, Digest]:
        """Archive file name -> digest, sorted by name."""
        return {p.archive.name: p.archive.digest for p in sorted(self.products.values(), key=lambda p: p.archive.name)}

    @property
    def digest(self) -> Digest:
        """The release's identity."""
        return digests.sha256(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The canonical bytes. Raises FormatError for what the format does not allow."""
        raw = canonical.dumps(self.to_json())
        parse(raw)
        return raw

    def to_json(self) -> dict[str, Any]:
        """The JSON value."""
        return {
            "format": FORMAT,
            "store": self.store,
            "ledger": self.ledger,
            "version": self.version,
            "epoch": self.epoch,
            "components": dict(self.components),
            "products": {name: _product_json(product) for name, product in self.products.items()},
            "checksums": self.checksums,
            "evidence": sorted(self.evidence),
            "config": self.config,
            **({"explained": [row.to_json() for row in self.explained]} if self.explained else {}),
        }


def check_version(text: str) -> str:
    """The version itself; no channel and no digest can ever look like it. Raises BadInput."""
    if not _VERSION.fullmatch(text):
        raise BadInput(f"not a version: {text[:80]!r}", hint="use letters, digits, . - _ + and at most 128 of them")
    if not _LIKE_A_VERSION.match(text):
        raise BadInput(
            f"not a version: {text[:80]!r} could be a channel",
            hint="begin with a digit, or v and a digit, or use a dot",
        )
    if _HEX.fullmatch(text) and not text.isdecimal():
        raise BadInput(
            f"not a version: {text[:80]!r} could be the beginning of a digest", hint="put a dot or - into it"
        )
    return text


def parse(raw: bytes) -> Release:
    """Bytes to release. Raises FormatError."""
    value = canonical.loads_canonical(raw, what="release object")
    if value.get("format") != FORMAT:
        raise FormatError(f"release object: format is {str(value.get('format'))[:80]!r}, not {FORMAT}")
    if wrong := (value.keys() - {"explained"}) ^ _FIELDS:
        raise FormatError(f"release object: missing or unknown field {min(wrong)!r}")
    try:
        return _from_json(value)
    except FormatError:
        raise
    except (CasstoreError, KeyError, TypeError, AttributeError) as exc:
        raise FormatError(f"release object: {exc}") from exc


def _from_json(value: dict[str, Any]) -> Release:
    release = Release(
        store=_text(value["store"], "store"),
        ledger=_text(value["ledger"], "ledger"),
        version=check_version(_text(value["version"], "version")),
        epoch=_count(value["epoch"], "epoch"),
        components={_name(n): digests.parse(d) for n, d in value["components"].items()},
        products={_name(n): _product(n, p) for n, p in value["products"].items()},
        checksums=digests.parse(value["checksums"]),
        evidence=tuple(digests.parse(d) for d in value["evidence"]),
        config=None if value["config"] is None else digests.parse(value["config"]),
        explained=tuple(Explained.parse(row, "release object: explained") for row in value.get("explained", ())),
    )
    if list(release.evidence) != sorted(set(release.evidence)):
        raise FormatError("release object: evidence is not sorted, or names one twice")
    if release.explained != ordered(release.explained) or ("explained" in value and not release.explained):
        raise FormatError("release object: explained is not sorted, or empty")
    if not release.products:
        raise FormatError("release object: it has no product")
    if len(release.archives) != len(release.products):
        raise FormatError("release object: two products have archives of the same name")
    return release


def _product(name: str, value: dict[str, Any]) -> ReleaseProduct:
    archive = value["archive"]
    if value.keys() != {"archive", "format", "productManifest"} or archive.keys() != {"name", "digest", "size"}:
        raise FormatError(f"release object: missing or unknown field in the product {name!r}")
    return ReleaseProduct(
        format=_text(value["format"], "format"),
        archive=ReleaseArchive(_name(archive["name"]), digests.parse(archive["digest"]), _count(archive["size"], name)),
        product_manifest=digests.parse(value["productManifest"]),
    )


def _product_json(product: ReleaseProduct) -> dict[str, Any]:
    archive = product.archive
    return {
        "archive": {"name": archive.name, "digest": archive.digest, "size": archive.size},
        "format": product.format,
        "productManifest": product.product_manifest,
    }


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise FormatError(f"release object: not a name: {str(value)[:80]!r}")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise FormatError(f"release object: {what} is no text, or empty")
    return value


def _count(value: object, what: str) -> int:
    if type(value) is not int or value < 0:
        raise FormatError(f"release object: {what} is no whole number")
    return value
