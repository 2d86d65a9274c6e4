"""Which files every release had that a destination ever showed: who has a file and no store finds its release.

Promises: a release's list is made once, when it is first shown, and stays, whatever becomes of the release; in pieces
by the first hex digits of the files' digests, so that one question reads one piece of each release. The index says
what became of each. All are targets of TUF (docs/formats/published-layout.md). Leaves to others: archives, proofs.

    gather(into, store, state, "prod", release, stays, last)
    into.targets["files/index.json"], into.targets["files/1.4.0/3.json"]
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

from attest import canonical, digests
from attest.core import limits, shares
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest, hex_of
from attest.errors import FormatError
from attest.statements.predicates.publication import Publication
from bundlers.building import provenance_told
from bundlers.building.provenance_told import Inputs
from bundlers.products import product_manifests
from bundlers.products.product_files import FileRows
from bundlers.publishing.layout.published_paths import check_path
from bundlers.publishing.layout.tuf_repository import TargetInfo
from bundlers.publishing.proofs.gathering import Gathered, ReadStore
from casstore.ledger.release_objects import Release
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.promotion import standings
from casstore.promotion.known_vulnerabilities import KnownVulnerabilities, known_of
from casstore.promotion.reports import ChannelSpan
from casstore.promotion.services import PromotionStore
from casstore.store.attestations import parse_unverified

INDEX = "files/index.json"
INDEX_FORMAT, LIST_FORMAT = "casstore-file-lists/3", "casstore-file-list/1"
_BEFORE = "casstore-file-lists/2"
"""Says nothing of inputs and vulnerabilities."""
_IN_A_PIECE = 4096
_MOST_DIGITS = 3


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file as a release had it."""

    product: str
    path: str
    component: str


@dataclass(frozen=True, slots=True)
class ListedComponent:
    """Who built it from what, by its provenance; empty where that does not say."""

    builder: str = ""
    commit: str = ""
    inputs: Inputs | None = None
    """None: nothing is recorded, or the list was begun by a program that did not say."""

    def to_json(self) -> dict[str, Any]:
        """A row of `components`."""
        return {
            "builder": self.builder,
            "commit": self.commit,
            "inputs": self.inputs.to_json() if self.inputs else None,
        }


@dataclass(frozen=True, slots=True)
class ListedRelease:
    """What the index says of a release."""

    release: Digest
    digits: int
    """By so many hex digits its list is parted."""
    channels: tuple[ChannelSpan, ...]
    """Of the channels that the destination shows."""
    revoked: str | None
    """Why it counts no more."""
    components: Mapping[str, ListedComponent]
    vulnerabilities: KnownVulnerabilities | None = None
    """By the scans that were handed in until it was published; None where the index is one that does not say."""

    def to_json(self) -> dict[str, Any]:
        """A row of the index."""
        return {
            "release": self.release,
            "digits": self.digits,
            "channels": [span.to_json() for span in self.channels],
            "revoked": self.revoked,
            "components": {name: row.to_json() for name, row in self.components.items()},
            "vulnerabilities": self.vulnerabilities.to_json() if self.vulnerabilities else None,
        }


def piece_path(version: str, digits: int, digest: Digest) -> str:
    """Where the piece of a release's list lies that would name a digest."""
    return _path(version, hex_of(digest)[:digits])


def _path(version: str, prefix: str) -> str:
    return check_path(f"files/{version}/{prefix or 'all'}.json")


def parse_index(data: bytes) -> dict[str, ListedRelease]:
    """Version -> what the index says. Raises FormatError."""
    value, kind = _whole(data, INDEX, (INDEX_FORMAT, _BEFORE), "releases")
    if not isinstance(value, Mapping):
        raise FormatError(f"{INDEX}: releases is no object")
    return {version: _release(version, row, told=kind == INDEX_FORMAT) for version, row in value.items()}


def _release(version: str, value: object, *, told: bool) -> ListedRelease:
    """`told`: it says inputs and vulnerabilities."""
    names = ("release", "digits", "channels", "revoked", "components", *(["vulnerabilities"] if told else []))
    f = Fields(value, f"{INDEX}: {version[:60]}", required=names)
    span = ("channel", "since", "until", "approvedBy")
    spans = [Fields(row, f.what, required=span, optional=("share",)) for row in f.objects("channels")]
    known = value["vulnerabilities"] if told and isinstance(value, Mapping) else None
    return ListedRelease(
        f.digest("release"),
        f.integer("digits"),
        tuple(
            ChannelSpan(
                row.text("channel"),
                row.text("since"),
                row.optional_text("until"),
                row.texts("approvedBy"),
                shares.of(row),
            )
            for row in spans
        ),
        f.optional_text("revoked"),
        {name: _component(row, f.what, told=told) for name, row in f.mapping("components").items()},
        KnownVulnerabilities.parse(known, f.what) if known is not None else None,
    )


def _component(value: object, what: str, *, told: bool) -> ListedComponent:
    f = Fields(value, what, required=("builder", "commit", *(["inputs"] if told else [])))
    given = value.get("inputs") if isinstance(value, Mapping) else None
    inputs = None if given is None else Inputs.parse(given, f"{what}: inputs")
    return ListedComponent(f.text("builder"), f.text("commit"), inputs)


def parse_piece(data: bytes, path: str) -> dict[Digest, tuple[ListedFile, ...]]:
    """What a piece names. Raises FormatError."""
    rows, _ = _whole(data, path, (LIST_FORMAT,), "files")
    found: dict[Digest, list[ListedFile]] = {}
    for row in rows if isinstance(rows, list) else [None]:
        if not isinstance(row, list) or len(row) != 4 or not all(isinstance(item, str) for item in row):
            raise FormatError(f"{path}: a row is no [digest, product, path, component]")
        found.setdefault(digests.parse(f"sha256:{row[0]}"), []).append(ListedFile(*row[1:]))
    return {digest: tuple(files) for digest, files in found.items()}


def _whole(data: bytes, path: str, known: tuple[str, ...], field: str) -> tuple[object, str]:
    """The value of the field, and the format."""
    value = canonical.loads_canonical(data, what=path, max_bytes=limits.OBJECT, max_values=limits.VALUES_OF_LISTS)
    f = Fields(value, path, required=("format", field))
    if f.text("format") not in known:
        raise FormatError(f"{path}: the format is {f.text('format')[:60]!r}, not {known[0]}")
    return value[field], f.text("format")


def gather(
    into: Gathered,
    store: ReadStore,
    state: LedgerState,
    channel: str,
    releases: Sequence[Release],
    stays: Mapping[str, TargetInfo],
    last: Publication | None,
) -> None:
    """Add the lists of what is shown now, unless they are there, and the index; `stays` is what is kept."""
    before = parse_index(store.read(last.targets[INDEX].digest)) if last and INDEX in last.targets else {}
    known = {version: row for version, row in before.items() if _path_of_any(version, row.digits, stays)}
    for release in releases:
        if release.version not in known:
            known[release.version] = _list(into, store, state, release)
    shown = {channel, *(path.split("/")[1].removesuffix(".json") for path in stays if _is_channel(path))}
    rows = {version: _now(store, state, row, shown) for version, row in sorted(known.items())}
    into.add(INDEX, index_bytes(rows))


def outdated(store: ReadStore, state: LedgerState, last: Publication) -> bool:
    """Whether the index says other vulnerabilities than are known by now."""
    rows = parse_index(store.read(last.targets[INDEX].digest)).values() if INDEX in last.targets else ()
    known = ((row.vulnerabilities, state.releases.get(row.release)) for row in rows)
    return any(info and _differs(said, known_of(store, state, info, said)) for said, info in known)


def _differs(said: KnownVulnerabilities | None, now: KnownVulnerabilities) -> bool:
    return said is None or replace(said, entry=now.entry) != now


def _is_channel(path: str) -> bool:
    return path.startswith("channels/") and path.endswith(".json") and path.count("/") == 1


def _path_of_any(version: str, digits: int, stays: Mapping[str, TargetInfo]) -> bool:
    """Whether its list is among what is kept; without files it has one empty piece."""
    return any(path.startswith(f"files/{version}/") for path in stays) and 0 <= digits <= _MOST_DIGITS


def _list(into: Gathered, store: ReadStore, state: LedgerState, release: Release) -> ListedRelease:
    count, rows = _files(store, release)
    digits = next((n for n in range(_MOST_DIGITS) if count <= _IN_A_PIECE * 16**n), _MOST_DIGITS)
    names = [f"{number:0{digits}x}" for number in range(16**digits)] if digits else [""]
    parts = groupby(rows, key=lambda row: row[0][:digits])
    found = next(parts, None)
    for name in names:
        part = []
        if found is not None and found[0] == name:
            part = sorted(found[1])
            found = next(parts, None)
        into.add(_path(release.version, name), piece_bytes(part))
    return ListedRelease(release.digest, digits, (), None, dict(_components(store, state, release)))


def _files(store: ReadStore, release: Release) -> tuple[int, Iterator[list[str]]]:
    """How many rows, and these, sorted by digest."""
    held = [
        (key, product_manifests.read(store.chunks(row.product_manifest)).packed.contents())
        for key, row in release.builds.items()
    ]
    archives = [[hex_of(row.archive.digest), key, "", ""] for key, row in release.builds.items()]
    parts = (_by_digest(key, files) for key, files in held)
    count = len(archives) + sum(len(files) for _, files in held)
    return count, heapq.merge(sorted(archives), *parts, key=lambda row: row[0])


def _by_digest(key: str, files: FileRows) -> Iterator[list[str]]:
    raw = b"".join(files.raw_digests())
    for number in sorted(range(len(files)), key=lambda number: raw[number * 32 : number * 32 + 32]):
        file = files[number]
        yield [hex_of(file.content), key, file.path, file.component]


def _components(store: ReadStore, state: LedgerState, release: Release) -> Iterator[tuple[str, ListedComponent]]:
    for name in release.components:
        statement = state.component_statements.get((release.taken.get(name, release.version), name))
        said = parse_unverified(store.read(statement)).predicate if statement else {}
        builder, commit = provenance_told.builder(said), provenance_told.commit(said)
        yield name, ListedComponent(builder, commit, provenance_told.inputs(said, name))


def _now(store: ReadStore, state: LedgerState, row: ListedRelease, shown: set[str]) -> ListedRelease:
    """Who approved, and what scans said, is looked up again where an earlier index has it not."""
    info = state.releases.get(row.release)
    known = {(span.channel, span.since, span.share): span.approved_by for span in row.channels}
    spans = standings.channel_spans(cast("PromotionStore", store), state, row.release, of=shown, known=known)
    spans = tuple(sorted(spans, key=lambda span: span.channel))
    why = _revoked(state, info) if info else None
    found = known_of(store, state, info, row.vulnerabilities) if info else row.vulnerabilities
    return ListedRelease(row.release, row.digits, spans, why, row.components, found)


def _revoked(state: LedgerState, info: ReleaseInfo) -> str | None:
    if not state.is_withdrawn(info):
        return None
    made = {info.digest, *info.archives.values(), *info.components.values()}
    reasons = [row.reason for row in state.revocations if made & {row.subject, *row.holders}]
    return "; ".join(dict.fromkeys(" ".join(reason.split()) for reason in reasons))[:1000] or "revoked"


def index_bytes(rows: Mapping[str, ListedRelease]) -> bytes:
    """The inverse of `parse_index`."""
    return canonical.dumps(
        {"format": INDEX_FORMAT, "releases": {version: row.to_json() for version, row in rows.items()}}
    )


def piece_bytes(rows: Sequence[Sequence[str]]) -> bytes:
    """The inverse of `parse_piece`: hex digits, product, path, component."""
    return canonical.dumps({"format": LIST_FORMAT, "files": [list(row) for row in rows]})
