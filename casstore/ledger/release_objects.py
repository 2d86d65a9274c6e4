"""The release object: which archives, manifests and build evidence make one version.

A value and its one encoding (docs/formats/release-object.md); its digest is the release's
identity. Making one is the release pipeline's work, judging one is left to policy.

    release = parse(store.read(digest))
    release.archives["core-1.4.0.tar.gz"]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from attest import canonical, digests
from attest.core.fields import Fields
from attest.core.remembered import Remembered
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, CasstoreError, FormatError
from attest.judging.explained import Explained, ordered
from casstore.objects.platforms import Platform

FORMAT = "casstore-release/2"
DEFAULT = "default"
"""The build of a product that has one."""

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_LIKE_A_VERSION = re.compile(r"v?[0-9]|[^.]+\.")
"""A channel begins with a letter and has no dot, so that what a person names is one of the two, now and later."""
_HEX = re.compile(r"[0-9a-f]{8,64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,254}")
_FIELDS = frozenset(
    {
        "format",
        "store",
        "ledger",
        "version",
        "epoch",
        "components",
        "taken",
        "products",
        "checksums",
        "evidence",
        "config",
        "notes",
    }
)


@dataclass(frozen=True, slots=True)
class ReleaseArchive:
    """The file that is shipped for one build."""

    name: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class ReleaseBuild:
    """One build of a product."""

    format: str
    archive: ReleaseArchive
    product_manifest: Digest
    platform: Platform | None = None
    foreign: str = ""
    """Why it may hold programs of another platform."""
    layout: Mapping[str, Any] = field(default_factory=dict)
    """How its components lie in the archive: `wrap`, `bin`, `components`."""


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a product line."""

    store: str
    ledger: str
    version: str
    epoch: int
    components: Mapping[str, Digest]
    builds: Mapping[str, ReleaseBuild]
    """`product`, or `product/build` for one of several -> what it is."""
    checksums: Digest
    evidence: tuple[Digest, ...]
    config: Digest | None = None
    explained: tuple[Explained, ...] = ()
    """What explains common content of its products: references and acceptances."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """Component that was not put for this version -> the version that it was taken from."""
    notes: Digest | None = None
    """A text for people."""

    @property
    def archives(self) -> dict[str, Digest]:
        """Archive file name -> digest, sorted by name."""
        return {b.archive.name: b.archive.digest for b in sorted(self.builds.values(), key=lambda b: b.archive.name)}

    @property
    def products(self) -> dict[str, dict[str, ReleaseBuild]]:
        """Product -> build -> what it is, sorted."""
        found: dict[str, dict[str, ReleaseBuild]] = {}
        for key in sorted(self.builds):
            product, build = split_key(key)
            found.setdefault(product, {})[build] = self.builds[key]
        return found

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
            "taken": dict(self.taken),
            "products": {
                product: {"builds": {name: _build_json(build) for name, build in builds.items()}}
                for product, builds in self.products.items()
            },
            "checksums": self.checksums,
            "evidence": sorted(self.evidence),
            "config": self.config,
            "notes": self.notes,
            **({"explained": [row.to_json() for row in self.explained]} if self.explained else {}),
        }


def build_key(product: str, build: str = DEFAULT) -> str:
    """How a build is named: the product alone where that is its only one."""
    return product if build == DEFAULT else f"{product}/{build}"


def split_key(key: str) -> tuple[str, str]:
    """Product and build."""
    product, _, build = key.partition("/")
    return product, build or DEFAULT


def label(key: str) -> str:
    """A build as a part of file names."""
    return key.replace("/", "-")


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
    return _parsed(raw)


def _parse(raw: bytes) -> Release:
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


_parsed = Remembered(_parse)


def _from_json(value: dict[str, Any]) -> Release:
    release = Release(
        store=_text(value["store"], "store"),
        ledger=_text(value["ledger"], "ledger"),
        version=check_version(_text(value["version"], "version")),
        epoch=_count(value["epoch"], "epoch"),
        components={_name(n): digests.parse(d) for n, d in value["components"].items()},
        builds=dict(_builds(value["products"])),
        checksums=digests.parse(value["checksums"]),
        evidence=tuple(digests.parse(d) for d in value["evidence"]),
        config=None if value["config"] is None else digests.parse(value["config"]),
        taken={_name(n): check_version(_text(v, "taken")) for n, v in value["taken"].items()},
        notes=None if value["notes"] is None else digests.parse(value["notes"]),
        explained=tuple(Explained.parse(row, "release object: explained") for row in value.get("explained", ())),
    )
    if list(release.evidence) != sorted(set(release.evidence)):
        raise FormatError("release object: evidence is not sorted, or names one twice")
    if release.explained != ordered(release.explained) or ("explained" in value and not release.explained):
        raise FormatError("release object: explained is not sorted, or empty")
    _check_builds(release)
    return release


def _check_builds(release: Release) -> None:
    if not release.builds:
        raise FormatError("release object: it has no product")
    for what, names in (
        ("archives", [build.archive.name.casefold() for build in release.builds.values()]),
        ("names in files", [label(key).casefold() for key in release.builds]),
    ):
        if len(set(names)) != len(names):
            raise FormatError(f"release object: two builds have {what} of the same name")
    if unknown := sorted(release.taken.keys() - release.components.keys()):
        raise FormatError(f"release object: it takes {unknown[0]!r}, which is no component of it")


def _builds(products: Mapping[str, Any]) -> Iterator[tuple[str, ReleaseBuild]]:
    for product, value in products.items():
        if value.keys() != {"builds"} or not value["builds"]:
            raise FormatError(f"release object: missing or unknown field in the product {product!r}")
        for name, build in value["builds"].items():
            yield build_key(_name(product), _name(name)), _build(f"{product}/{name}", build)


def _build(what: str, value: Mapping[str, Any]) -> ReleaseBuild:
    names = ("archive", "format", "productManifest")
    f = Fields(value, f"release object: {what}", required=names, optional=("platform", "foreign", "layout"))
    archive = Fields(f.mapping("archive"), f"release object: {what}: archive", required=("name", "digest", "size"))
    return ReleaseBuild(
        format=_text(f.text("format"), "format"),
        archive=ReleaseArchive(_name(archive.text("name")), archive.digest("digest"), archive.integer("size")),
        product_manifest=f.digest("productManifest"),
        platform=Platform.parse(value["platform"]) if "platform" in value else None,
        foreign=_text(value["foreign"], "foreign") if "foreign" in value else "",
        layout=f.optional_mapping("layout"),
    )


def _build_json(build: ReleaseBuild) -> dict[str, Any]:
    archive = build.archive
    return {
        "archive": {"name": archive.name, "digest": archive.digest, "size": archive.size},
        "format": build.format,
        "productManifest": build.product_manifest,
        **({"platform": build.platform.to_json()} if build.platform else {}),
        **({"foreign": build.foreign} if build.foreign else {}),
        **({"layout": dict(build.layout)} if build.layout else {}),
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
