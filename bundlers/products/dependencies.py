"""Packages and licences that a bill of materials names: CycloneDX 1.x, SPDX 2.x and 3.0.

Promises: a pure function of the document; what it says of no package is passed over, for people alone read this.
Leaves to others: whether the document holds (`attest.statements.predicates`), who signed it.

    rows = packages(document)
    found = compare(before, after)
    found.added, found.changed, found.licences
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attest.core.values import dataclass

_NOTHING = frozenset({"", "NOASSERTION", "NONE"})
_PURL = "pkg:"


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One package."""

    name: str
    """With what makes it another one than its namesake: `npm/left-pad`, where that is said."""
    version: str
    licences: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """In a line."""
        licences = f" ({', '.join(self.licences)})" if self.licences else ""
        return f"{self.name} {self.version}".rstrip() + licences

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"name": self.name, "version": self.version, "licences": list(self.licences)}


@dataclass(frozen=True, slots=True)
class Compared:
    """What came, went and changed."""

    added: tuple[Package, ...]
    removed: tuple[Package, ...]
    changed: tuple[tuple[Package, Package], ...]
    licences: tuple[tuple[str, tuple[str, ...]], ...]
    """Those that no package had before, with the packages that have them."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.licences)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "added": [one.to_json() for one in self.added],
            "removed": [one.to_json() for one in self.removed],
            "changed": [{"before": old.to_json(), "after": new.to_json()} for old, new in self.changed],
            "licences": [{"licence": name, "packages": list(packages)} for name, packages in self.licences],
        }


def packages(document: Mapping[str, Any]) -> frozenset[Package]:
    """The packages that a document names; its own subject is none."""
    if "bomFormat" in document:
        return frozenset(_cyclonedx(document.get("components")))
    if "@graph" in document:
        return frozenset(_spdx3(_maps(document["@graph"])))
    return frozenset(_spdx2(document))


def compare(before: Iterable[Package], after: Iterable[Package]) -> Compared:
    """By name; several versions of one package at once are told one by one."""
    old, new = _by_name(before), _by_name(after)
    added, removed, changed = [], [], []
    for name in sorted(old.keys() | new.keys()):
        one, other = old.get(name, set()), new.get(name, set())
        went, came = sorted(one - other), sorted(other - one)
        if len(went) == len(came) == 1:
            changed.append((went[0], came[0]))
        else:
            removed += went
            added += came
    known = {licence for rows in old.values() for row in rows for licence in row.licences}
    mine = {licence for rows in new.values() for row in rows for licence in row.licences}
    licences = [
        (one, tuple(sorted({row.name for rows in new.values() for row in rows if one in row.licences})))
        for one in sorted(mine - known)
    ]
    return Compared(tuple(added), tuple(removed), tuple(changed), tuple(licences))


def _by_name(rows: Iterable[Package]) -> dict[str, set[Package]]:
    found: dict[str, set[Package]] = {}
    for row in rows:
        found.setdefault(row.name, set()).add(row)
    return found


def _maps(rows: object) -> list[Mapping[str, Any]]:
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _texts(rows: object) -> list[str]:
    return [row for row in rows if isinstance(row, str)] if isinstance(rows, list) else []


def _cyclonedx(rows: object) -> Iterator[Package]:
    for row in _maps(rows):
        if row.get("type") != "file" and row.get("name"):
            name = _name(row.get("purl")) or "/".join(str(row[key]) for key in ("group", "name") if row.get(key))
            yield Package(name, _text(row.get("version")), _licences(_cyclonedx_licences(row.get("licenses"))))
        yield from _cyclonedx(row.get("components"))


def _cyclonedx_licences(rows: object) -> Iterator[object]:
    for row in _maps(rows):
        licence = row.get("license")
        named = licence if isinstance(licence, Mapping) else {}
        yield row.get("expression") or named.get("id") or named.get("name")


def _spdx2(document: Mapping[str, Any]) -> Iterator[Package]:
    own = set(_texts(document.get("documentDescribes")))
    for row in _maps(document.get("relationships")):
        if row.get("relationshipType") == "DESCRIBES":
            own.add(str(row.get("relatedSpdxElement")))
    for row in _maps(document.get("packages")):
        if row.get("SPDXID") in own or not row.get("name"):
            continue
        refs = _maps(row.get("externalRefs"))
        purl = next((one.get("referenceLocator") for one in refs if one.get("referenceType") == "purl"), None)
        name = _name(purl) or _text(row["name"])
        said = [row.get("licenseConcluded"), row.get("licenseDeclared")]
        yield Package(name, _text(row.get("versionInfo")), _licences(said))


def _spdx3(rows: list[Mapping[str, Any]]) -> Iterator[Package]:
    names = {str(row.get("spdxId")): row.get("simplelicensing_licenseExpression") for row in rows}
    said: dict[str, list[object]] = {}
    own: set[str] = set()
    for row in rows:
        if row.get("relationshipType") in ("hasDeclaredLicense", "hasConcludedLicense"):
            said.setdefault(str(row.get("from")), []).extend(names.get(to) for to in _texts(row.get("to")))
        if row.get("type") in ("SpdxDocument", "software_Sbom"):
            own |= set(_texts(row.get("rootElement")))
    for row in rows:
        if row.get("type") == "software_Package" and str(row.get("spdxId")) not in own and row.get("name"):
            name = _name(row.get("software_packageUrl")) or _text(row["name"])
            licences = _licences(said.get(str(row.get("spdxId")), ()))
            yield Package(name, _text(row.get("software_packageVersion")), licences)


def _name(purl: object) -> str:
    """`pkg:npm/%40a/b@1.0?x#y` to `npm/@a/b`."""
    from urllib.parse import unquote

    if not isinstance(purl, str) or not purl.startswith(_PURL):
        return ""
    path = purl.removeprefix(_PURL).partition("#")[0].partition("?")[0]
    return unquote(path.rpartition("@")[0] or path)[:200]


def _licences(said: Iterable[object]) -> tuple[str, ...]:
    return tuple(sorted({_text(one) for one in said} - _NOTHING))


def _text(value: object) -> str:
    return " ".join(value.split())[:200] if isinstance(value, str) else ""
