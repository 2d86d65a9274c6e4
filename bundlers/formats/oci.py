"""oci: a tar of an OCI image layout with one layer per component, each the tar.gz of its files.

The order of its files lets it be written and verified in one pass: the layers come first, all that
speaks of them after them, the pointer last (docs/formats/archives.md).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import IO, BinaryIO

from attest import digests
from attest.digests import Digest
from attest.errors import CasstoreError
from bundlers.errors import HostileArchive
from bundlers.formats import oci_documents as oci
from bundlers.formats import tar_gz, tar_stream
from bundlers.formats.members import PIECE, ExactReader
from bundlers.products.product_manifests import ProductFile, ProductManifest
from bundlers.products.reader import ProductReader
from casstore.ledger.release_objects import label

MEDIA_TYPE = "application/x-tar"

_SPOOL = 32 * 1024 * 1024


def write(manifest: ProductManifest, reader: ProductReader, out: BinaryIO, workers: int) -> None:
    """Write a product's archive; each layer waits in a temporary file until its digest is known."""
    out.write(_member(oci.LAYOUT_FILE, oci.LAYOUT, manifest.epoch))
    layers, diff_ids = [], []
    for component, part in _parts(manifest):
        unpacked, packed = hashlib.sha256(), hashlib.sha256()
        with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
            for piece in tar_gz.stream(part, reader, workers, unpacked.update):
                packed.update(piece)
                spool.write(piece)
            layers.append(oci.layer(digests.from_raw(packed.digest()), spool.tell(), component))
            _write_layer(layers[-1], spool, out, manifest.epoch)
        diff_ids.append(digests.from_raw(unpacked.digest()))
    out.write(_after(manifest, layers, diff_ids))


def read(manifest: ProductManifest, source: BinaryIO) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """Strictly: every byte outside the layers as we would write it, each layer as `tar_gz` reads it."""
    what = f"{manifest.key} archive"
    raw = ExactReader(lambda: source.read(PIECE), what)
    raw.expect(_member(oci.LAYOUT_FILE, oci.LAYOUT, manifest.epoch), "its beginning")
    layers, diff_ids = [], []
    for component, part in _parts(manifest):
        layer = _Layer(raw, manifest.epoch, what, component)
        unpacked = hashlib.sha256()
        yield from tar_gz.members(part, layer, what, unpacked.update)
        layers.append(layer.end())
        diff_ids.append(digests.from_raw(unpacked.digest()))
    raw.expect(_after(manifest, layers, diff_ids), "what follows its layers")
    raw.expect_end()


def _parts(manifest: ProductManifest) -> Iterator[tuple[str, ProductManifest]]:
    """The files and empty folders of each component, as a product of their own."""
    for component in sorted({one.component for one in manifest.rows}):
        files = tuple(file for file in manifest.files if file.component == component)
        folders = tuple(folder for folder in manifest.folders if folder.component == component)
        yield component, replace(manifest, files=files, folders=folders)


def _member(path: str, data: bytes, epoch: int) -> bytes:
    return tar_stream.header(_row(path, digests.sha256(data), len(data)), epoch) + data + _padding(len(data))


def _row(path: str, digest: Digest, size: int) -> ProductFile:
    return ProductFile(path, 0o644, size, digest)


def _padding(size: int) -> bytes:
    return b"\0" * (-size % tar_stream.BLOCK)


def _write_layer(layer: oci.Descriptor, spool: IO[bytes], out: BinaryIO, epoch: int) -> None:
    row = _row(oci.blob_path(layer["digest"]), layer["digest"], layer["size"])
    out.write(tar_stream.header(row, epoch))
    spool.seek(0)
    while piece := spool.read(PIECE):
        out.write(piece)
    out.write(_padding(row.size))


def _after(manifest: ProductManifest, layers: Sequence[oci.Descriptor], diff_ids: Sequence[Digest]) -> bytes:
    """Everything after the layers."""
    config = oci.image_config(manifest, diff_ids)
    image = oci.image_manifest(manifest, oci.descriptor(oci.CONFIG, config), layers)
    tagged = oci.descriptor(oci.MANIFEST, image, annotations={oci.REF_NAME: label(manifest.key)})
    parts = [(oci.blob_path(digests.sha256(data)), data) for data in (config, image)]
    parts.append((oci.INDEX_FILE, oci.index([tagged])))
    return b"".join(_member(path, data, manifest.epoch) for path, data in parts) + tar_stream.END


class _Layer:
    """A compressed layer inside the outer tar: its header says how long, and which digest it has."""

    def __init__(self, raw: ExactReader, epoch: int, what: str, component: str) -> None:
        self._raw, self._what, self._hash, self._component = raw, what, hashlib.sha256(), component
        blocks = raw.take(tar_stream.BLOCK)
        if blocks[156:157] == b"x":  # a layer of 8 GiB and more says its size in a pax record
            blocks += raw.take(2 * tar_stream.BLOCK)
        self._digest, self._size = self._named(blocks)
        self._left = self._size
        row = _row(oci.blob_path(self._digest), self._digest, self._size)
        if tar_stream.header(row, epoch) != blocks:
            raise self._hostile("the header of its layer is not ours")

    def read(self, size: int, /) -> bytes:
        """As a file's `read`."""
        data = self._raw.take(min(size, self._left))
        self._left -= len(data)
        self._hash.update(data)
        return data

    def end(self) -> oci.Descriptor:
        """The descriptor of a layer that was read to its end and has the digest of its name."""
        if self._left or digests.from_raw(self._hash.digest()) != self._digest:
            raise self._hostile("its layer has not the digest of its name")
        self._raw.expect(_padding(self._size), "the padding of its layer")
        return oci.layer(self._digest, self._size, self._component)

    def _named(self, blocks: bytes) -> tuple[Digest, int]:
        last = blocks[-tar_stream.BLOCK :]
        record = blocks[tar_stream.BLOCK :].partition(b"size=")[2].partition(b"\n")[0]
        try:
            size = int(record) if record else int(last[124:135], 8)
            return digests.from_hex(last[13:77].decode("ascii")), size
        except (ValueError, CasstoreError) as exc:
            raise self._hostile("the header of its layer names no digest and size") from exc

    def _hostile(self, problem: str) -> HostileArchive:
        return HostileArchive(f"{self._what}: {problem}", hint="fetch the archive again")
