"""Packages and licences that bills of materials name, of all three forms, and of none."""

from __future__ import annotations

from typing import Any

import pytest

from bundlers.products.dependencies import Package, compare, packages

CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"name": "core", "version": "1.0"}},
    "components": [
        {"type": "file", "name": "bin/core"},
        {"type": "library", "name": "a", "version": "1", "purl": "pkg:npm/%40scope/a@1?x=y",
         "licenses": [{"license": {"id": "MIT"}}]},
        {"type": "library", "group": "org.x", "name": "b", "version": "2",
         "licenses": [{"expression": "MIT OR Apache-2.0"}],
         "components": [{"name": "inner", "version": "3", "licenses": [{"license": {"name": "Own"}}]}]},
    ],
}  # fmt: skip
SPDX2 = {
    "spdxVersion": "SPDX-2.3",
    "documentDescribes": ["SPDXRef-core"],
    "relationships": [{"relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-other"}],
    "packages": [
        {"SPDXID": "SPDXRef-core", "name": "core", "versionInfo": "1.0"},
        {"SPDXID": "SPDXRef-other", "name": "other", "versionInfo": "1.0"},
        {"SPDXID": "SPDXRef-a", "name": "a", "versionInfo": "1", "licenseDeclared": "MIT",
         "licenseConcluded": "NOASSERTION",
         "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:npm/%40scope/a@1"}]},
    ],
}  # fmt: skip
SPDX3 = {
    "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
    "@graph": [
        {"type": "SpdxDocument", "spdxId": "doc", "rootElement": ["core"]},
        {"type": "software_Package", "spdxId": "core", "name": "core"},
        {"type": "software_Package", "spdxId": "a", "name": "a", "software_packageVersion": "1",
         "software_packageUrl": "pkg:npm/%40scope/a@1"},
        {"type": "simplelicensing_LicenseExpression", "spdxId": "l", "simplelicensing_licenseExpression": "MIT"},
        {"type": "Relationship", "relationshipType": "hasDeclaredLicense", "from": "a", "to": ["l"]},
    ],
}  # fmt: skip
A = Package("npm/@scope/a", "1", ("MIT",))


def test_one_package_is_the_same_in_all_three_forms() -> None:
    assert packages(SPDX2) == packages(SPDX3) == {A}
    own = Package("inner", "3", ("Own",))
    assert packages(CYCLONEDX) == {A, Package("org.x/b", "2", ("MIT OR Apache-2.0",)), own}


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"packages": "x", "relationships": 3, "documentDescribes": {"a": 1}},
        {"packages": [{"name": 3, "externalRefs": [{"referenceType": "purl", "referenceLocator": 4}]}, None, 7]},
        {"bomFormat": "CycloneDX", "components": {"name": "x"}},
        {"bomFormat": "CycloneDX", "components": [{"name": ["x"], "licenses": [{"license": "MIT"}, 3]}]},
        {"@graph": {"a": 1}},
        {"@graph": [{"type": "software_Package", "name": "x", "spdxId": []},
                    {"relationshipType": "hasDeclaredLicense", "to": 3}]},
    ],
)  # fmt: skip
def test_what_says_nothing_is_passed_over(odd: dict[str, Any]) -> None:
    assert all(isinstance(one.name, str) for one in packages(odd))


def test_what_came_went_and_changed() -> None:
    before = [A, Package("b", "1", ("BSD",)), Package("gone", "1"), Package("twice", "1"), Package("twice", "2")]
    after = [
        Package("npm/@scope/a", "2", ("MIT",)),
        Package("b", "1", ("GPL-3.0",)),
        Package("new", "1", ("GPL-3.0",)),
        Package("twice", "3"),
        Package("twice", "2"),
    ]
    found = compare(before, after)
    assert [one.name for one in found.added] == ["new"] and [one.name for one in found.removed] == ["gone"]
    assert [(old.told, new.told) for old, new in found.changed] == [
        ("b 1 (BSD)", "b 1 (GPL-3.0)"),
        ("npm/@scope/a 1 (MIT)", "npm/@scope/a 2 (MIT)"),
        ("twice 1", "twice 3"),
    ]
    assert found.licences == (("GPL-3.0", ("b", "new")),) and found
    assert not compare(before, before)
