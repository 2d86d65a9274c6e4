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
from datetime import UTC, datetime
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from attest import canonical
from attest.digests import sha256
from attest.errors import CasstoreError, FormatError
from attest.judging import expressions, vex
from attest.sigstore import certificates, forms, sigstore_bundles, time_stamps
from attest.statements import bills, predicates, scanners
from attest.statements.predicates import openvex
from attest.trust.policy_parts import MAX_EXPRESSION, CustomRule
from bundlers import formats
from bundlers.errors import HostileArchive
from bundlers.gates.builtin import sbom
from bundlers.gates.pinning import KINDS, reader_of
from bundlers.inspection import fingerprints, junit, linkable, linked, looking, package_files, secret_forms, variants
from bundlers.inspection.packed import nested
from bundlers.inspection.secret_forms import stream
from bundlers.inspection.units import Limits
from bundlers.isolation.explained import licences
from bundlers.publishing.layout import kit_reading
from casstore import config
from casstore.config import mistakes
from casstore.hostile import Scratch
from casstore.machine import toml_text
from tests.support import published_bytes

SEEDS = Path(__file__).parent.parent / "fuzz" / "seeds"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
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
    for kind in ("pypi", "npm"):
        found = package_files.package(io.BytesIO(data), kind, Scratch(), print)
        assert found is None or (found[0] and found[1] and len(found) == 3)


def _sbom(data: bytes) -> None:
    assert all(isinstance(digest, str) for digest in sbom.covered(canonical.loads_object(data, what="SBOM")))


def _pinned(data: bytes) -> None:
    """The first line names the file."""
    name, _, text = data.decode("utf-8", "replace").partition("\n")
    reader = reader_of(name) or KINDS[sorted(KINDS)[len(data) % len(KINDS)]]
    for told in reader(text):
        assert told


def _lock(data: bytes) -> None:
    for kind in ("npm", "cargo"):
        told: list[Any] = []
        with suppress(FormatError):
            assert package_files.lock(io.BytesIO(data), kind, Scratch(), told.extend) == len(told)


def _toml(data: bytes) -> None:
    from casstore.config import consumer

    consumer._parse(data, "consumer.toml")


def _config(data: bytes) -> None:
    """What is refused has a mistake that is told, with its line."""
    found = mistakes.read_all(data, "casstore.toml").mistakes
    assert all(mistake.line > 0 and mistake.message for mistake in found)
    try:
        config.parse(data, "casstore.toml")
    except CasstoreError:
        assert found
        raise


def _toml_text(data: bytes) -> None:
    assert isinstance(toml_text.read(data), dict)


def _cel(data: bytes) -> None:
    """Each is evaluated too, over real evidence."""
    import celpy

    text = data.decode("utf-8", "replace")[:MAX_EXPRESSION]
    expressions.check(CustomRule("rule", text))
    evidence = [{"type": "t", "predicate": {"a": [1, 2.5, "x"], "b": None}, "names": ["a"], "ageSeconds": 7}] * 3
    given = {"request": {"channel": "prod", "archives": {"a": "b"}}, "attestations": evidence}
    assert "\n" not in expressions.problem_of(text, {name: celpy.json_to_cel(value) for name, value in given.items()})


def _forms(data: bytes) -> None:
    """Each piece is told as something, and what was taken of it is a bundle."""
    for piece in forms.read(data):
        assert piece.form
        assert (piece.raw is None) == bool(piece.problem) or piece.raw is not None
        if piece.raw is not None:
            with suppress(FormatError):
                sigstore_bundles.SigstoreBundle.parse(piece.raw)


def _vex(data: bytes) -> None:
    document = canonical.loads_object(data, what="OpenVEX")
    openvex.check(document)
    names = sorted({name for item in openvex.statements_of(document) for name in item.names})
    found = vex.judge([("it", document)], vex.Artifact.of_archive("a-1.zip", "1", None), names, now=_NOW)
    assert found.harmless <= set(names)


def _scanner(data: bytes) -> None:
    scanners.read(canonical.loads_object(data, what="report"))


def _bill(data: bytes) -> None:
    found = bills.packages_of(canonical.loads_object(data, what="SBOM"))
    assert list(found) == sorted(set(found))


def _junit(data: bytes) -> None:
    told: list[Any] = []
    suites = junit.junit(io.BytesIO(data), None, Scratch(), told.extend)
    assert isinstance(suites, list) and all(len(row) == 2 for row in told)


def _linked(data: bytes) -> None:
    for magic in (b"", b"\x7fELF", b"MZ", b"!<arch>\n"):
        with suppress(linked.Unreadable):
            assert all(len(row) == 3 for row in linked.packages(magic + data))
        assert all(isinstance(content, bytes) for content, _ in linkable.pieces(magic + data))


def _unpacked(data: bytes) -> None:
    told: list[list[Any]] = []
    looking.unpack(io.BytesIO(data[:20_000]), None, Scratch(), told.append)
    assert not told or told[0][1] is None


def _stamp(data: bytes) -> None:
    with suppress(FormatError):
        time_stamps.time_of(time_stamps.decode(data), b"x", (data,))
    certificates.claims_of(certificates.load(data))


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
    "toml": Foreign(_toml_text, "consumer.toml", (ValueError,)),
    "casstore.toml": Foreign(_config, "casstore.toml", (CasstoreError,)),
    "consumer.toml": Foreign(_toml, "consumer.toml", (CasstoreError,)),
    "cel": Foreign(_cel, "cel", (FormatError,)),
    "attestation-of-others": Foreign(_forms, "attestation-of-others", (FormatError,)),
    "vex": Foreign(_vex, "vex", (FormatError,)),
    "scanner": Foreign(_scanner, "scanner", (FormatError,)),
    "bill-of-materials": Foreign(_bill, "bill-of-materials", (FormatError,)),
    "junit": Foreign(_junit, "junit", (FormatError,)),
    "linked": Foreign(_linked, "linked"),
    "unpacked": Foreign(_unpacked, "packed", (CasstoreError,)),
    "stamp-or-certificate": Foreign(_stamp, "stamp-or-certificate", (CasstoreError,)),
    "predicate": Foreign(_predicate, "predicate", (CasstoreError,)),
    "tuf": Foreign(published_bytes.tuf, "tuf", (CasstoreError,)),
    "forge": Foreign(published_bytes.forge, "forge", (CasstoreError,)),
    "archive-pieces": Foreign(published_bytes.pieces, "archive-pieces", (CasstoreError,)),
    "bundle-of-others": Foreign(
        lambda data: sigstore_bundles.SigstoreBundle.parse(data) and None, "bundle-of-others", (FormatError,)
    ),
}
