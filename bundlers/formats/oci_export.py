"""A release as one OCI image layout, its attestations as referrers (docs/formats/oci-release.md).

Every archive is an artifact under the tag `<product>-<build>-<version>` (without `default`), one in
the format oci the image that it is; the release object is an artifact, tag `release-<version>`. An
attestation refers to each of them that it speaks of. The same release and evidence give the same layout.

    plan = layout(store, made, release_bytes, {digest: sigstore bundle bytes})
    plan.files, plan.blobs, plan.parts
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, Protocol

from attest import digests
from attest.digests import Digest
from bundlers import formats
from bundlers.errors import HostileArchive
from bundlers.formats import oci_documents as oci
from casstore.ledger.release_objects import Release, ReleaseBuild, label
from casstore.store.attestations import parse_unverified

ARCHIVE = "application/vnd.casstore.archive.v1"
RELEASE = "application/vnd.casstore.release.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"

_CONTENT = "dev.sigstore.bundle.content"
_PREDICATE = "dev.sigstore.bundle.predicateType"


class BlobStore(Protocol):
    """What the export needs of the store."""

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable, verified stream."""


@dataclass
class Layout:
    """What is to be written, by path in the layout."""

    files: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, Digest] = field(default_factory=dict)
    """Objects of the store."""
    parts: dict[str, tuple[Digest, int, int]] = field(default_factory=dict)
    """Parts of objects: digest, offset, length."""
    manifests: list[oci.Descriptor] = field(default_factory=list)
    """The index's rows."""

    def add(self, data: bytes) -> None:
        """Bytes as a blob of the layout."""
        self.files[oci.blob_path(digests.sha256(data))] = data

    def tag(self, image: bytes, ref: str, artifact_type: str = "") -> oci.Descriptor:
        """An OciManifest, in the index under a tag; its plain descriptor."""
        self.add(image)
        annotations = {oci.REF_NAME: ref} if ref else {}
        found = oci.descriptor(oci.MANIFEST, image, artifactType=artifact_type, annotations=annotations)
        self.manifests.append(found)
        return oci.descriptor(oci.MANIFEST, image)


def layout(store: BlobStore, made: Release, release: bytes, bundles: Mapping[Digest, bytes]) -> Layout:
    """The whole layout. Raises HostileArchive when an oci archive is not one."""
    plan = Layout()
    plan.add(oci.NOTHING)
    subjects = {digests.sha256(release): _release(plan, made, release)}
    for key, row in sorted(made.builds.items()):
        tag = f"{label(key)}-{made.version}"
        image = _image(plan, store, row, tag) if row.format == "oci" else _archive(plan, made, row, tag)
        subjects[row.archive.digest] = image
    for _, raw in sorted(bundles.items()):
        _refer(plan, raw, subjects)
    plan.files[oci.LAYOUT_FILE] = oci.LAYOUT
    plan.files[oci.INDEX_FILE] = oci.index(plan.manifests)
    return plan


def _release(plan: Layout, made: Release, release: bytes) -> oci.Descriptor:
    plan.add(release)
    layer = oci.descriptor(RELEASE, release, annotations={oci.TITLE: "release.json"})
    image = oci.artifact_manifest(RELEASE, [layer], subject=None, **_annotations(made))
    return plan.tag(image, f"release-{made.version}", RELEASE)


def _archive(plan: Layout, made: Release, row: ReleaseBuild, tag: str) -> oci.Descriptor:
    """Any archive, as it is shipped."""
    archive = row.archive
    plan.blobs[oci.blob_path(archive.digest)] = archive.digest
    media_type = formats.format_of(row.format).MEDIA_TYPE
    layer = oci.pointer(media_type, archive.digest, archive.size, annotations={oci.TITLE: archive.name})
    return plan.tag(oci.artifact_manifest(ARCHIVE, [layer], subject=None, **_annotations(made)), tag, ARCHIVE)


def _annotations(made: Release) -> dict[str, str]:
    return {oci.CREATED: oci.created(made.epoch), oci.VERSION: made.version}


def _image(plan: Layout, store: BlobStore, row: ReleaseBuild, tag: str) -> oci.Descriptor:
    """The image inside an oci archive: its layers stay parts of the archive, the rest is small."""
    with store.open_blob(row.archive.digest) as archive:
        members = list(_members(archive))
        if len(members) < 5:
            raise HostileArchive(f"{row.archive.name}: is no image layout of ours", hint="casstore fsck")
        _, *layers, config, image, _ = members
        for layer in layers:  # one of a shared component is the same in every product: it is written once
            plan.parts[layer.name] = (row.archive.digest, layer.offset_data, layer.size)
        plan.add(_bytes(archive, config))
        return plan.tag(_bytes(archive, image), tag)


def _members(archive: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            yield from tar
    except tarfile.TarError as exc:
        raise HostileArchive(f"an oci archive cannot be read: {exc}") from exc


def _bytes(archive: IO[bytes], member: tarfile.TarInfo) -> bytes:
    archive.seek(member.offset_data)
    return archive.read(member.size)


def _refer(plan: Layout, raw: bytes, subjects: Mapping[Digest, oci.Descriptor]) -> None:
    """An attestation as a referrer of everything in the layout that it speaks of."""
    statement = parse_unverified(raw)
    layer: Mapping[str, Any] = oci.descriptor(BUNDLE, raw)
    annotations = {_CONTENT: "dsse-envelope", _PREDICATE: statement.predicate_type}
    for digest in sorted(set(statement.digests) & subjects.keys()):
        plan.add(raw)
        image = oci.artifact_manifest(BUNDLE, [layer], subject=subjects[digest], **annotations)
        plan.tag(image, "", BUNDLE)
