"""The JSON documents of an OCI image layout, as exact bytes (docs/formats/archives.md).

Source: https://github.com/opencontainers/image-spec . Every document is canonical JSON, so it is a
function of what it says.

    config = image_config(manifest, diff_ids)
    image = image_manifest(manifest, descriptor(CONFIG, config), layers)
    index([descriptor(MANIFEST, image, annotations={REF_NAME: "core"})])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attest import canonical, digests
from attest.core import times
from attest.digests import Digest
from bundlers.products.platforms import go_platform
from bundlers.products.product_manifests import ProductManifest

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
LAYOUT = canonical.dumps({"imageLayoutVersion": "1.0.0"})

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

CREATED = "org.opencontainers.image.created"
REF_NAME = "org.opencontainers.image.ref.name"
TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
COMPONENT = "dev.casstore.component"

NOTHING = b"{}"
"""The empty config of a manifest that is no image."""

Descriptor = Mapping[str, Any]


def blob_path(digest: Digest) -> str:
    """Where a blob lies in a layout."""
    return f"blobs/sha256/{digests.hex_of(digest)}"


def pointer(media_type: str, digest: Digest, size: int, **more: Any) -> Descriptor:
    """A descriptor of known content; `more` are its other fields, empty ones left out."""
    return {"mediaType": media_type, "digest": digest, "size": size, **{k: v for k, v in more.items() if v}}


def descriptor(media_type: str, data: bytes, **more: Any) -> Descriptor:
    """A descriptor of some bytes."""
    return pointer(media_type, digests.sha256(data), len(data), **more)


def created(epoch: int) -> str:
    """A time as annotations write it."""
    return times.format(datetime.fromtimestamp(epoch, UTC))


def image_config(manifest: ProductManifest, diff_ids: Sequence[Digest]) -> bytes:
    """The config of an image; `diff_ids` are the digests of the unpacked layers."""
    system, architecture = go_platform(manifest.platform)
    return canonical.dumps(
        {
            "architecture": architecture,
            "config": {},
            "created": created(manifest.epoch),
            "os": system,
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        }
    )


def layer(digest: Digest, size: int, component: str) -> Descriptor:
    """The descriptor of a layer, named by its component."""
    return pointer(LAYER, digest, size, annotations={COMPONENT: component})


def image_manifest(manifest: ProductManifest, config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """The OciManifest of a product's image."""
    annotations = {CREATED: created(manifest.epoch), TITLE: manifest.product}
    return _manifest({"config": config, "layers": list(layers), "annotations": annotations})


def artifact_manifest(
    artifact_type: str, layers: Sequence[Descriptor], *, subject: Descriptor | None = None, **annotations: str
) -> bytes:
    """The OciManifest of something that is no image; one with a subject is its referrer."""
    value: dict[str, Any] = {
        "artifactType": artifact_type,
        "config": descriptor(EMPTY, NOTHING),
        "layers": list(layers),
        **({"subject": subject} if subject else {}),
        **({"annotations": annotations} if annotations else {}),
    }
    return _manifest(value)


def index(manifests: Sequence[Descriptor]) -> bytes:
    """The OciIndex of a layout."""
    return canonical.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)})


def _manifest(value: Mapping[str, Any]) -> bytes:
    return canonical.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **value})
