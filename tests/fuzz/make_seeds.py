"""Makes the seeds of the fuzzers of foreign bytes: small files below tests/fuzz/seeds, the same ones each time.

Of secrets, among which are keys that are drawn anew, those that are there stay.

python tests/fuzz/make_seeds.py
"""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "support")]

from secret_table import secrets  # noqa: E402

from tests.attacks.test_hostile_input import ENCODED, WAYS  # noqa: E402
from tests.support import published_bytes  # noqa: E402

SMALL = random.Random(5).randbytes(90) * 7
GOLDEN = HERE.parent / "formats" / "golden"
_MOST = 20_000
_WHOLE = ("kit", "bundle-of-others", "attestation-of-others")

TEXTS: dict[str, list[str]] = {
    "licences": [
        "Permission is hereby granted, free of charge, to any person obtaining a copy of this software",
        "a b c",
    ],
    "package-metadata": [
        "Metadata-Version: 2.1\nName: core\nVersion: 1.4.0\nLicense: MIT\n\nText.\n",
        '{"name": "@scope/core", "version": "1.4.0", "license": "MIT"}',
    ],
    "sbom": [
        '{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "n",'
        ' "files": [{"checksums": [{"algorithm": "SHA256", "checksumValue": "aa"}]}]}',
        '{"bomFormat": "CycloneDX", "specVersion": "1.6", "components":'
        ' [{"type": "file", "name": "f", "hashes": [{"alg": "SHA-256", "content": "aa"}]}]}',
    ],
    "pinned-files": [
        "requirements.txt\nnumpy==2.1.0 --hash=sha256:" + "a" * 64 + "\n-r other.txt\n",
        'package-lock.json\n{"packages": {"node_modules/a": {"version": "1.0.0", "integrity": "sha512-aa=="}}}',
        "pnpm-lock.yaml\nlockfileVersion: '9.0'\npackages:\n  a@1.0.0:\n    resolution: {integrity: sha512-aa==}\n",
        'yarn.lock\n"a@^1.0.0":\n  version "1.0.0"\n  resolved "a"\n  integrity sha512-aa==\n',
        'Cargo.lock\nversion = 3\n[[package]]\nname = "a"\nversion = "1.0.0"\nchecksum = "' + "a" * 64 + '"\n',
        "go.sum\ngithub.com/a/b v1.0.0 h1:" + "A" * 43 + "=\n",
        'uv.lock\nversion = 1\n[[package]]\nname = "a"\nversion = "1"\nsdist = { url = "u", hash = "sha256:aa" }\n',
        'Pipfile.lock\n{"default": {"a": {"hashes": ["sha256:aa"], "version": "==1"}}}',
        "Dockerfile\n# syntax=docker/dockerfile:1\nARG V=1\nFROM debian:${V} AS b\nCOPY --from=b /a /a\n",
        "ci.yml\njobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n      - run: echo\n",
    ],
    "locks": [
        '{"packages": {"node_modules/a": {"version": "1.0.0", "integrity": "sha512-aa=="}}}',
        '[[package]]\nname = "a"\nversion = "1.0.0"\nchecksum = "aa"\n',
    ],
    "consumer.toml": [
        '[products.core]\nfrom = "https://releases.example"\nchannel = "prod"\ninto = "/opt/core"\n'
        'fresh = "7d"\nshare = "never"\n'
    ],
    "casstore.toml": [
        '[store]\nurl = "./store"\n\n[components.bin]\ninclude = ["bin/**"]\n\n[products.core]\ncomponents = ["bin"]\n'
        'format = "zip"\n\n[channels.dev]\napprovals = 0\n[channels.prod]\nfrom = "dev"\napprovals = 1\n'
        'soak = "48h"\nsteps = [{ share = "5%" }]\n',
        '[store]\nurl = "./store"\n\n[gates.secrets]\nmax_seconds = 5\n\n[[isolation.accepted]]\nname = "a"\n',
    ],
    "forge": [
        'github\n{"name": "main", "protected": true, "protection": {"enabled": true, "required_status_checks":'
        ' {"enforcement_level": "everyone", "contexts": ["verify"], "checks": [{"context": "verify"}]}}}\n--\n'
        '[{"type": "deletion"}, {"type": "required_status_checks", "parameters":'
        ' {"required_status_checks": [{"context": "verify", "integration_id": 1}]}}]',
        'gitlab\n{"only_allow_merge_if_pipeline_succeeds": true}\n--\n[{"name": "a*"}, {"name": "*a*a*b"}]\n--\n'
        '[{"name": "verify", "protected_branches": [{"name": "a*a"}]}, {"name": "b", "protected_branches": []}]',
        'gitea\n{"protected": true, "enable_status_check": true, "status_check_contexts": ["verify"]}',
    ],
    "junit": [
        '<?xml version="1.0"?><testsuites><testsuite name="s" tests="2" failures="1"><testcase classname="c" name="a"/>'
        '<testcase name="b"><failure message="m">text</failure></testcase></testsuite></testsuites>',
        '<testsuite name="s" time="0.5"><testcase classname="c" name="a"><skipped/></testcase></testsuite>',
    ],
    "bill-of-materials": [
        '{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "n",'
        ' "purl": "pkg:pypi/n@1.0", "components": [{"type": "library", "name": "m", "purl": "pkg:npm/%40s/m@2"}]}]}',
        '{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "n", "packages": [{"name": "a",'
        ' "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:cargo/a@1"}]}]}',
    ],
    "cel": [
        "attestations.map(a, a.predicate.a).exists(l, l[0] == 1 && size(l) > 2) || has(request.archives.a)",
        'timestamp("2026-01-01T00:00:00Z") + duration("3600s") > timestamp("2025-01-01T00:00:00Z")',
        'request.channel == "prod" && attestations.all(a, a.ageSeconds < 3600)',
        "size(attestations) > 1 ? true : false",
    ],
}


def files() -> Iterator[tuple[str, str, bytes]]:
    """(parser, name, bytes)."""
    for way, hide in sorted(WAYS.items()):
        if not re.search(r"in a program|in prose|noise|10 MB", way):
            yield "packed", way, hide(SMALL)
    for way, hide in ENCODED.items():
        yield "secrets", way, hide(b"npm_ZmDq8s1vTnQb3hYkXw7cLr2JpE5uGa94fKt0 " * 3)
    for number, (_, data) in enumerate(secrets()):
        if number % 8 == 0:
            yield "secrets", f"form {number}", data
    section = struct.Struct("<2I4Q2I2Q")
    rows = section.pack(0, 7, 0, 0, 64, 36, 0, 0, 0, 0) + section.pack(0, 1, 4, 0, 0, 600, 0, 0, 0, 0)
    note = struct.pack("<3I", 4, 20, 3) + b"GNU\0" + bytes(range(20))
    head = bytearray(b"\x7fELF\2\1\1" + bytes(57) + note + bytes(600))
    struct.pack_into("<Q", head, 0x28, len(head))
    struct.pack_into("<3H", head, 0x3A, 64, 2, 0)
    yield "program", "elf", bytes(head) + rows
    image = bytearray(b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(20 + 240 + 40) + b"code" * 200)
    struct.pack_into("<H3IH", image, 70, 1, 0, 0, 0, 240)
    struct.pack_into("<H", image, 88, 0x20B)
    struct.pack_into("<4I", image, 64 + 24 + 240 + 8, 800, 0, 800, 368)
    struct.pack_into("<I", image, 64 + 24 + 240 + 36, 0x20000020)
    yield "program", "pe", bytes(image)
    for parser, texts in TEXTS.items():
        for number, text in enumerate(texts):
            yield parser, str(number), text.encode()
    for form, path in {form: f"core-1.4.0-linux-x86_64.{form}" for form in ("tar.gz", "tar.zst", "zip")}.items():
        yield f"archive-{form}", "core", (GOLDEN / "archives" / path).read_bytes()
    yield "archive-oci", "core", (GOLDEN / "archives" / "core-1.4.0-linux-x86_64.oci.tar").read_bytes()
    yield "kit", "kit", (GOLDEN / "kit" / "kit.tar").read_bytes()
    for role in ("root", "timestamp", "snapshot", "targets"):
        (file,) = (name for name in published_bytes.metadata() if name.endswith(f"{role}.json") and name[0] != "1")
        yield "tuf", role, role.encode() + b"\n" + published_bytes.metadata()[file]
    for kind in published_bytes.KINDS:
        yield "archive-pieces", kind, published_bytes.published(kind)
    for path in sorted((GOLDEN / "predicates").glob("*.json")):
        yield "predicate", path.stem, path.read_bytes()
    data = GOLDEN.parents[1] / "data"
    for parser, found in {"attestation-of-others": "forms", "vex": "openvex", "scanner": "scanners"}.items():
        for path in sorted((data / found).iterdir()):
            if path.suffix not in (".md", ".txt", ".link"):
                yield parser, path.name, path.read_bytes()
    bundle = json.loads((data / "forms" / "pypi.publish.attestation").read_text())
    yield "stamp-or-certificate", "leaf", base64.b64decode(bundle["verification_material"]["certificate"])
    packed = zlib.compress(b'{"packages": [{"name": "a", "version": "1.0.0", "source": "crates.io"}]}', 9)
    yield "linked", "elf", _elf(b".dep-v0", packed)
    for path in sorted((GOLDEN.parents[1] / "data" / "sigstore-bundles").glob("*.json")):
        yield "bundle-of-others", path.stem, path.read_bytes()


def _elf(name: bytes, content: bytes) -> bytes:
    """A program with one section."""
    row = struct.Struct("<2I4Q2I2Q")
    names = b"\0" + name + b"\0"
    body = b"\x7fELF\2\1\1" + bytes(57) + content + names
    head = bytearray(body + row.pack(1, 1, 0, 0, 64, len(content), 0, 0, 0, 0))
    head += row.pack(0, 3, 0, 0, 64 + len(content), len(names), 0, 0, 0, 0)
    struct.pack_into("<Q", head, 0x28, len(body))
    struct.pack_into("<3H", head, 0x3A, 64, 2, 1)
    return bytes(head)


def kept() -> Iterator[tuple[str, str, bytes]]:
    """(parser, file, bytes) of those that are small enough."""
    for parser, name, data in files():
        if (
            len(data) <= _MOST
            or parser in ("kit", "bundle-of-others", "attestation-of-others")
            or parser.startswith("archive")
        ):
            yield parser, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"), data


def main() -> None:
    """See the module."""
    time.time = lambda: 1_700_000_000.0  # what packs writes when it was packed
    there = {path.name: path.read_bytes() for path in (HERE / "seeds" / "secrets").glob("*")}
    shutil.rmtree(HERE / "seeds", ignore_errors=True)
    for parser, name, data in kept():
        folder = HERE / "seeds" / parser
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(there.get(name, data) if parser == "secrets" else data)


if __name__ == "__main__":
    main()
