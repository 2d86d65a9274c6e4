"""The names of the papers that lie beside archives (docs/formats/archives.md)."""

from __future__ import annotations

from casstore.ledger.release_objects import label

RELEASE = "release.json"
NOTES = "NOTES"
"""A text for people, where the release has one."""
SIGNATURE = "release.json.sigstore.json"
"""The statement that the ledger entry of the release names."""


def manifest_name(key: str) -> str:
    """The ProductManifest of a build."""
    return f"{label(key)}.product-manifest.json"


def provenance_name(archive: str) -> str:
    """The provenance of an archive."""
    return f"{archive}.sigstore.json"
