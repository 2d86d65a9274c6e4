"""Every parser of what others made, with what it may raise and what must hold where it does not.

Its seeds are small files below tests/fuzz/seeds/NAME/, made by tests/fuzz/make_seeds.py or taken from the golden files.

    for name, parser in FOREIGN.items():
        parser.run(parser.seeds()[0])
"""

from __future__ import annotations

import io
import pkgutil
import runpy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from attest import canonical
from attest.digests import sha256
from attest.errors import CasstoreError, FormatError
from attest.judging import expressions
from attest.sigstore import sigstore_bundles
from attest.statements import predicates
from attest.trust.policy_parts import CustomRule
from bundlers import formats
from bundlers.errors import HostileArchive
from bundlers.gates.builtin import sbom
from bundlers.gates.pinning import KINDS, reader_of
from bundlers.inspection import fingerprints, secret_forms, variants
from bundlers.inspection import sbom as made_sbom
from bundlers.inspection.packed import nested
from bundlers.inspection.secret_forms import stream
from bundlers.inspection.units import Limits
from bundlers.isolation import licences, reference_sources
from bundlers.publishing import kit_reading

SEEDS = Path(__file__).parent.parent / "fuzz" / "seeds"
LIMITS = Limits(max_depth=3, max_member=1 << 20, max_total=4 << 20)


@dataclass(frozen=True, slots=True)
class Foreign:
    """One parser: `run` raises `errors` or nothing."""

    parse: Callable[[bytes], None]
    folder: str
    errors: tuple[type[Exception], ...] = ()

    def run(self, data: bytes) -> bool:
        """Whether the bytes were taken. Any other exception than the documented ones is a find."""
        try:
            self.parse(data)
        except self.errors:
            return False
        return True

    def seeds(self) -> list[bytes]:
        """Real input, sorted by file name."""
        return [path.read_bytes() for path in sorted((SEEDS / self.folder).iterdir())]


def _packed(data: bytes) -> None:
    """What is seen has the digest that is told, and no more than the caps allow."""
    seen: list[tuple[str, Any, int]] = []

    def visit(path: str, member: IO[bytes]) -> None:
        content = member.read()
        seen.append((path, sha256(content), len(content)))

    inside = nested.look_inside(io.BytesIO(data), len(data), LIMITS, visit)
    assert seen == [(member.path, member.digest, member.size) for member in inside.members]
    assert all(size <= LIMITS.max_member for _, _, size in seen)
    assert sum(size for _, _, size in seen) <= LIMITS.max_total + LIMITS.max_member


def _program(data: bytes) -> None:
    for magic in (b"", b"\x7fELF", b"MZ"):
        assert all(":" in mark for mark in variants.marks(magic + data))


def _secrets(data: bytes) -> None:
    found = list(stream.scan(io.BytesIO(data)))
    assert len({secret.fingerprint for secret in found}) == len(found)
    assert all(0 <= secret.offset <= len(data) for secret in found)


def _redacted(data: bytes) -> None:
    """It ends, with a text."""
    assert secret_forms.redacted(data.decode("utf-8", "replace")) is not None


def _fingerprints(data: bytes) -> None:
    """They do not depend on the pieces, and are in order."""
    many = data * (1 + 2000 // max(1, len(data)))
    whole, parts = fingerprints.of([many]), fingerprints.of([many[:700], many[700:]])
    assert whole.to_bytes() == parts.to_bytes()
    assert all(a < b for a, b in pairwise(whole.offsets.tolist()))


def _licences(data: bytes) -> None:
    spans = licences.cover(data)
    assert all(0 <= a < b <= len(data) for a, b in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def _archive(name: str) -> Callable[[bytes], None]:
    """Nothing but the very archive of a ProductManifest is read as one."""
    manifest = runpy.run_path(str(SEEDS.parent.parent / "formats" / "make_products.py"))["manifest"](name)

    def law(data: bytes) -> None:
        for file, chunks in formats.format_of(name).read(manifest.wrapped(), io.BytesIO(data)):
            assert sum(map(len, chunks)) == file.size

    return law


def _kit(data: bytes) -> None:
    told: list[list[list[Any]]] = []
    told.append(kit_reading.places(io.BytesIO(data), None, None, told.append))
    assert all(offset + size <= len(data) for part in told for _, offset, size in part)


def _package(data: bytes) -> None:
    for read in (made_sbom._python, made_sbom._npm):
        found = read(data)
        assert found is None or (found.name and found.version)


def _sbom(data: bytes) -> None:
    assert all(isinstance(digest, str) for digest in sbom.covered(canonical.loads_object(data, what="SBOM")))


def _pinned(data: bytes) -> None:
    """The first line names the file."""
    name, _, text = data.decode("utf-8", "replace").partition("\n")
    reader = reader_of(name) or KINDS[sorted(KINDS)[len(data) % len(KINDS)]]
    for told in reader(text):
        assert told


def _lock(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        for name, reader in reference_sources._LOCKS.items():
            path = Path(folder) / name
            path.write_bytes(data)
            try:
                list(reader(str(path)))
            except CasstoreError:
                continue


def _toml(data: bytes) -> None:
    from casstore.config import consumer

    consumer._parse(data, "consumer.toml")


def _cel(data: bytes) -> None:
    expressions.check(CustomRule("rule", data.decode("utf-8", "replace")[:300]))


def _predicate(data: bytes) -> None:
    """As all of the types that are known: each refuses it or takes it."""
    predicate = canonical.loads_object(data, what="predicate")
    for found in pkgutil.iter_modules(predicates.__path__):
        parse = getattr(import_module(f"{predicates.__name__}.{found.name}"), "parse", None)
        with suppress(CasstoreError):
            if parse is not None:
                parse(predicate)


FOREIGN = {
    "packed": Foreign(_packed, "packed"),
    "program": Foreign(_program, "program"),
    "secrets": Foreign(_secrets, "secrets"),
    "redacted": Foreign(_redacted, "secrets"),
    "fingerprints": Foreign(_fingerprints, "program"),
    "licences": Foreign(_licences, "licences"),
    "archive-tar.gz": Foreign(_archive("tar.gz"), "archive-tar.gz", (HostileArchive,)),
    "archive-tar.zst": Foreign(_archive("tar.zst"), "archive-tar.zst", (HostileArchive,)),
    "archive-zip": Foreign(_archive("zip"), "archive-zip", (HostileArchive,)),
    "archive-oci": Foreign(_archive("oci"), "archive-oci", (HostileArchive,)),
    "tar-of-others": Foreign(_kit, "kit", (CasstoreError,)),
    "package-metadata": Foreign(_package, "package-metadata"),
    "sbom": Foreign(_sbom, "sbom", (FormatError,)),
    "pinned-files": Foreign(_pinned, "pinned-files", (ValueError,)),
    "locks": Foreign(_lock, "locks"),
    "consumer.toml": Foreign(_toml, "consumer.toml", (CasstoreError,)),
    "cel": Foreign(_cel, "cel", (FormatError,)),
    "predicate": Foreign(_predicate, "predicate", (CasstoreError,)),
    "bundle-of-others": Foreign(
        lambda data: sigstore_bundles.SigstoreBundle.parse(data) and None, "bundle-of-others", (FormatError,)
    ),
}
