"""Names that are published or stand in a kit: the one rule for them, and where each thing lies.

check_path("releases/1.2.0/core-1.2.0.tar.gz")
channel_path("prod")            # channels/prod.json
"""

from __future__ import annotations

import re

from attest.digests import Digest, hex_of
from attest.errors import BadInput
from bundlers.products.products import SUFFIXES
from casstore.ledger.release_objects import label

CHECKPOINT = "ledger/checkpoint"
PROOF = "ledger/proof.json"
NODES = "ledger/nodes.json"
"""In a kit, instead of tiles."""

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]*", re.ASCII)


def check_path(path: str) -> str:
    """The path itself. Raises BadInput unless every segment is plain ASCII without a leading dot."""
    if not all(_SEGMENT.fullmatch(part) for part in path.split("/")):
        raise BadInput(f"cannot be published under this name: {path[:200]!r}", hint="use A-Z a-z 0-9 . _ - + ~")
    return path


def channel_path(channel: str) -> str:
    """Target path of a channel record."""
    return f"channels/{channel}.json"


def sigstore_root_path(digest: Digest) -> str:
    """A sigstore root that a trust root pins."""
    return f"trust-root/{hex_of(digest)}.trusted_root.json"


def trust_root_path(version: int) -> str:
    """Target path of a signed trust root."""
    return f"trust-root/{version}.json"


def release_path(version: str, name: str) -> str:
    """Target path of a file of a release."""
    return f"releases/{version}/{name}"


def archive_path(key: str, archive_format: str, digest: Digest) -> str:
    """Target path of an archive: by its content, so that versions that have the same share it."""
    suffix = SUFFIXES.get(archive_format, archive_format)
    return f"archives/{hex_of(digest)}.{label(key)}.{suffix}"


def pieces_path(archive: str) -> str:
    """Target path of the lengths of an archive's pieces."""
    return f"{archive}.pieces"


def evidence_path(version: str, digest: Digest) -> str:
    """Target path of an attestation of a release."""
    return f"releases/{version}/evidence/{hex_of(digest)}.sigstore.json"


def objects_path(channel: str, number: int = 1) -> str:
    """Target path of a tar of objects that a channel's moves are judged by."""
    return f"channels/{channel}.objects{'' if number == 1 else f'.{number}'}.tar"


def object_path(digest: Digest) -> str:
    """Target path of an object that is too large for a tar, and no evidence of the release."""
    return f"objects/{hex_of(digest)}"


def state_path(channel: str) -> str:
    """Target path of the leaves of the sealed state that a channel is judged by."""
    return f"channels/{channel}.state.tar"


def publication_path(number: int) -> str:
    """Target path of a publication record."""
    return f"publications/{number}.sigstore.json"


def role_path(version: int, name: str) -> str:
    """Where the metadata of a role of TUF lies; no target."""
    return f"metadata/{version}.{name}.json"


def cosignature_path(size: int, key_id: str) -> str:
    """Where a witness's line over a checkpoint lies; no target."""
    return f"ledger/cosignatures/{size}/{key_id}"


def newest_cosignature_path(key_id: str) -> str:
    """Where the newest line of a witness lies, for its peers."""
    return f"ledger/cosignatures/newest/{key_id}"
