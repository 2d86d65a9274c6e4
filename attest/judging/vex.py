"""What OpenVEX documents add up to over one artifact: which of its findings do not affect it, and why not others.

- A statement speaks of the artifact when it names no products, or one of them is it: by digest (which then
  decides alone), by purl (name and, where it has one, version), by the archive's or product's own name.
- Over all documents, of the statements about one vulnerability the newest decides; at the same time, the worse.
  `under_investigation` and `affected` take back what an older one cleared. Aliases are one vulnerability.
- `not_affected` needs a justification or an impact statement. What is passed over is told, with the reason.

    judged = judge([(bundle, predicate)], Artifact.of_archive(name, version, digest), {"CVE-1"}, now=now)
    judged.harmless, judged.dropped
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from attest.core.values import dataclass
from attest.digests import Digest, hex_of
from attest.statements.predicates import openvex
from attest.statements.predicates.openvex import HARMLESS, VexProduct, VexStatement

LEEWAY = timedelta(minutes=10)
"""How far a statement may be dated ahead, since clocks differ."""

_NEVER = datetime.min.replace(tzinfo=UTC)
_ALWAYS = datetime.max.replace(tzinfo=UTC)
_K = TypeVar("_K")


@dataclass(frozen=True, slots=True)
class Artifact:
    """What products may call it."""

    names: frozenset[str]
    """The archive's file name, the product's name, and what attestations call it."""
    version: str
    digest: Digest | None

    @staticmethod
    def of_archive(file: str, version: str, digest: Digest, more: Collection[str] = ()) -> Artifact:
        """An archive of a release: `<product>-<version>.<suffix>`."""
        product, found, _ = file.partition(f"-{version}.")
        return Artifact(frozenset({file, *((product,) if found else ()), *more} - {""}), version, digest)

    def is_named(self, product: VexProduct) -> bool:
        """Whether a product of a statement is this artifact."""
        if product.digests and self.digest is not None:
            return self.digest in product.digests
        return any(self._is(text) for text in product.ids)

    def _is(self, text: str) -> bool:
        if text in self.names or (self.digest is not None and text == self.digest):
            return True
        return text.startswith("pkg:") and self._is_purl(text)

    def _is_purl(self, text: str) -> bool:
        """https://github.com/package-url/purl-spec: type/namespace/name@version?qualifiers#subpath."""
        path, _, qualifiers = text.partition("#")[0].partition("?")
        head, at, version = path.rpartition("@")
        name, version = unquote((head if at else path).rpartition("/")[2]), unquote(version) if at else ""
        if self.digest is not None:
            if version == self.digest:
                return True
            sums = [unquote(item[9:]) for item in qualifiers.split("&") if item.startswith("checksum=")]
            if sums:
                return any(f"sha256:{hex_of(self.digest)}" in item.split(",") for item in sums)
        return name in self.names and version in ("", self.version)


@dataclass(frozen=True, slots=True)
class Judged(Generic[_K]):
    """The findings that are taken away, the documents that spoke of any, and what was passed over."""

    harmless: frozenset[str]
    used: frozenset[_K]
    dropped: tuple[str, ...]


def judge(
    documents: Iterable[tuple[_K, Mapping[str, Any]]], artifact: Artifact, findings: Collection[str], *, now: datetime
) -> Judged[_K]:
    """`documents` are keys and predicates, each readable (`openvex.check`). Raises FormatError."""
    said = [(key, item) for key, predicate in documents for item in openvex.statements_of(predicate)]
    groups, about = _groups(item for _, item in said), _by_name(said)
    harmless: set[str] = set()
    used: set[_K] = set()
    dropped: list[str] = []
    judged: dict[int, tuple[VexStatement, bool] | None] = {}
    for finding in sorted(findings):
        names = groups.get(finding)
        if names is None:
            continue
        if id(names) not in judged:  # aliases are judged once
            rows = [said[place] for place in sorted({place for name in names for place in about[name]})]
            fit = [
                (key, item)
                for key, item in rows
                if not (why := _unfit(item, artifact, now)) or _drop(dropped, item, why)
            ]
            used |= {key for key, _ in fit}
            judged[id(names)] = _newest([item for _, item in fit])
        if (found := judged[id(names)]) is None:
            continue
        newest, cleared = found
        if newest.status in HARMLESS:
            harmless.add(finding)
        elif cleared:
            dropped.append(f"{finding} (a newer statement says {newest.status})")
    return Judged(frozenset(harmless), frozenset(used), tuple(dict.fromkeys(dropped)))


def _newest(fit: Sequence[VexStatement]) -> tuple[VexStatement, bool] | None:
    """The one that decides, and whether any clears; none where nothing is said."""
    if not fit:
        return None
    newest = max(fit, key=lambda item: (_time(item), item.status not in HARMLESS))
    return newest, any(item.status in HARMLESS for item in fit)


def _by_name(said: Sequence[tuple[_K, VexStatement]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, (_, item) in enumerate(said):
        for name in item.names:
            found.setdefault(name, []).append(place)
    return found


def told(dropped: Sequence[str]) -> str:
    """For messages: the first three."""
    return "; ".join(dropped[:3]) + (f" and {len(dropped) - 3} more" if len(dropped) > 3 else "")


def _drop(dropped: list[str], item: VexStatement, why: str) -> bool:
    dropped.append(f"{item.vulnerability} ({why})")
    return False


def _unfit(item: VexStatement, artifact: Artifact, now: datetime) -> str:
    """Why a statement says nothing here; empty where it does."""
    if item.products and not any(artifact.is_named(product) for product in item.products):
        named = ", ".join([text for product in item.products for text in product.ids][:2])[:120]
        return f"it names {named or 'another digest'}, which is not {min(artifact.names, default='it')}"
    if item.status not in HARMLESS:
        return ""
    if item.status == "not_affected" and not (item.justification or item.impact):
        return "not_affected without a justification or an impact statement"
    if item.time is not None and item.time > now + LEEWAY:
        return "it is dated in the future"
    return ""


def _time(item: VexStatement) -> datetime:
    """One without a time clears as the oldest, and takes back as the newest."""
    if item.time is not None:
        return item.time
    return _NEVER if item.status in HARMLESS else _ALWAYS


def _groups(said: Iterable[VexStatement]) -> dict[str, set[str]]:
    """Name -> all names of that vulnerability, joined by aliases; the smaller group goes into the larger."""
    groups: dict[str, set[str]] = {}
    for item in said:
        known = {id(group): group for name in item.names if (group := groups.get(name)) is not None}
        joined = max(known.values(), key=len, default=set())
        for group in (set(item.names), *known.values()):
            if group is not joined:
                joined |= group
                groups.update(dict.fromkeys(group, joined))
    return groups
