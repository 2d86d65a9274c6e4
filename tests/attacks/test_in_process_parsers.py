"""Parsers of foreign bytes in the command's own process: the worst that is let in costs less than a cell may."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import struct
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest import canonical
from attest.core import limits
from attest.digests import sha256
from attest.errors import BadInput, CasstoreError, FormatError
from attest.judging import expression_work, expressions, vex
from attest.sigstore import sigstore_bundles
from attest.statements import statements
from attest.trust.policy_parts import MAX_EXPRESSION, CustomRule
from bundlers.gates.forges import client
from bundlers.inspection import linkable, linked, variants
from bundlers.inspection.secret_forms import stream
from bundlers.inspection.secret_forms.finding import RULES
from bundlers.products import product_manifests
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore import config
from casstore.config import consumer, mistakes
from casstore.hostile import MEMORY, SECONDS
from casstore.machine import toml_text
from casstore.objects import tree_building
from casstore.objects.tree import TreeEntry
from tests.support import published_bytes

DEEP = os.environ.get("CASSTORE_PROFILE") == "deep"
MIB = 1 << 20
WELL, REFUSED, BROKEN = 0, 3, 4


def _in_budget(parse: Callable[[bytes], object], data: bytes, memory: int = MEMORY) -> int:
    """How a process ends that has a cell's budget for it, beyond what it has: WELL, REFUSED, or anything else."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = BROKEN
    try:
        size = int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + memory, size + memory))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        parse(data)
        code = WELL
    except CasstoreError:
        code = REFUSED
    except ValueError:
        code = REFUSED if parse is toml_text.read else BROKEN
    finally:
        os._exit(code)


def _filled(begin: str, piece: str, size: int = toml_text.MAX_BYTES, end: str = "") -> bytes:
    """As often as it fits; `#` in a piece is its number."""
    made, number, length = [begin], 0, len(begin) + len(end)
    while length + len(piece) + 6 <= size:
        made.append(piece.replace("#", str(number)))
        length, number = length + len(made[-1]), number + 1
    return "".join([*made, end]).encode()


TOML = {
    "names joined by dots": b"a." * (MIB // 2 - 2) + b"a=1",
    "quoted names joined by dots": b'"\\"".' * (MIB // 6) + b"a=1",
    "a deep table with many keys": _filled("[" + "a." * 62 + "b]\n", "k#=1\n"),
    "many deep keys in a deep table": _filled("[" + "a." * 62 + "b]\n", "b." * 62 + "k#=1\n"),
    "many deep tables": _filled("", "[" + "a." * 62 + "k#]\n"),
    "tables in tables": b"a=" + b"{a=" * (MIB // 4),
    "lists in lists": b"a=" + b"[" * (MIB - 2),
    "short lists": _filled("a=[", "[],", end="]"),
    "a long number": b"a=" + b"1" * (MIB - 2),
    "escapes": b'a="' + b"\\" * (MIB - 3),
    "quotes that no dots join": b". " * 64 + b"\"'" * (MIB // 2 - 64),
    "escaped quotes": b". " * 64 + b'"' + b'\\"' * (MIB // 2 - 65),
    "keys that there are not": _filled("", "k#=1\n"),
    "keys of a policy that there are not": _filled("[channels.prod]\n", "k#=1\n"),
    "products that lack all": _filled("", "[products.c#]\nx=1\n"),
    "consumers that lack all": _filled("", "[[consumers]]\nx=1\n"),
    "lines that are none": _filled("", "[t#]\na b\n"),
    "a list that does not end": _filled("[store]\na = [\n", "1,\n"),
}
MISTAKEN = [way for way in TOML if way.startswith(("keys", "products", "consumers", "lines", "a list", "a deep table"))]
FOR_CHECK = [way for way in MISTAKEN if way.startswith(("lines", "a list", "consumers"))]
READERS: dict[str, Callable[[bytes], object]] = {
    "casstore.toml": lambda data: config.parse(data, "casstore.toml"),
    "config check": lambda data: mistakes.read_all(data, "casstore.toml"),
    "consumer.toml": lambda data: consumer._parse(data, "consumer.toml"),
}
TRIED = [
    (reader, way)
    for way in MISTAKEN
    for reader in READERS
    if DEEP or reader == ("config check" if way in FOR_CHECK else "casstore.toml")
]
"""Every reader with every way takes a minute: each way with a reader that does most about it."""


@pytest.mark.parametrize("way", TOML)
def test_toml(way: str) -> None:
    assert len(TOML[way]) <= toml_text.MAX_BYTES
    assert _in_budget(toml_text.read, TOML[way]) in (WELL, REFUSED)


@pytest.mark.parametrize(("reader", "way"), TRIED)
def test_what_is_wrong_with_a_file_is_told(reader: str, way: str) -> None:
    assert _in_budget(READERS[reader], TOML[way]) in (WELL, REFUSED)


def test_twenty_kilobytes_of_toml_are_not_four_hundred_megabytes() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 64 names are joined by dots"):
            toml_text.read(b"a." * 10_000 + b"a = 1")
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()
    assert toml_text.read(b"a." * (toml_text.MAX_NAMES - 1) + b"a = 1")


def _json(piece: bytes, size: int) -> bytes:
    return b"[" + piece * ((size - 3) // len(piece)) + b"0]"


JSON = {
    "objects of nothing": b"{},",
    "lists of nothing": b"[],",
    "objects of one": b'{"a":0},',
    "short texts": b'"ab",',
    "texts of one letter beyond": '"\U0001f600",'.encode(),
    "commas in texts": b'"' + b"," * MIB + b'",',
    "escaped quotes": b'"\\\\\\"",',
    "numbers": b"1.5,",
    "a number of many digits": b"0." + b"1" * MIB + b",",
}


@pytest.mark.parametrize("way", JSON)
def test_json_of_as_many_bytes_as_any_document(way: str) -> None:
    data = _json(JSON[way], canonical.MAX_BYTES)
    assert _in_budget(lambda found: canonical.loads(found, what="it"), data) in (WELL, REFUSED)


@pytest.mark.parametrize("way", ["objects of one", "commas in texts", "texts of one letter beyond"])
def test_a_bundle_as_large_as_any(way: str) -> None:
    """Its text, of which a letter may take four bytes, is twice in memory; of values there are as many as in less."""
    data = _json(JSON[way], limits.ATTESTATION)
    assert _in_budget(sigstore_bundles.SigstoreBundle.parse, data, 2 * MEMORY) == REFUSED


@pytest.mark.parametrize("parse", [statements.parse, sigstore_bundles.SigstoreBundle.parse])
def test_a_document_that_is_one_text(parse: Callable[[bytes], object]) -> None:
    data = '{"a":"\U0001f600'.encode() + b"a" * (limits.STATEMENT - 20) + b'"}'
    assert _in_budget(parse, data, 2 * MEMORY) == REFUSED


def test_values_are_counted_outside_of_texts_alone() -> None:
    data = _json(b'"' + b"," * MIB + b'",', 20 * MIB)
    assert len(canonical.loads(data, what="it", max_bytes=len(data))) == 20
    with pytest.raises(FormatError, match=r"it: \d+ values, more than the limit of 4000000"):
        canonical.loads(_json(b"1,", 20 * MIB), what="it", max_bytes=20 * MIB)


def test_nobody_writes_what_nobody_reads() -> None:
    with pytest.raises(BadInput, match="values, more than the limit of 4000000; nothing was signed"):
        limits.check(_json(b"1,", 20 * MIB), limits.STATEMENT, "statement")


FORGES = ("github", "gitlab", "gitea")
ANSWERS = ("[[]],", "{},", '{"name":""},', '{"name":"*"},', "[" * 400 + "]" * 400 + ",")


@pytest.mark.parametrize(("number", "way"), list(enumerate(ANSWERS)))
def test_an_answer_of_a_forge_as_large_as_any(number: int, way: str) -> None:
    rows = _json(way.encode(), client._MAX_ANSWER)
    for kind in FORGES if DEEP else FORGES[number % 3 :][:1]:
        data = kind.encode() + b"\n" + published_bytes.BETWEEN.join([b"{}", rows])
        assert _in_budget(published_bytes.forge, data) in (WELL, REFUSED)


def test_a_branch_pattern_of_a_forge_that_is_stars() -> None:
    """Each star tried every length, for every other one: 15 s for seven of them, and a forge may send a million."""
    for pattern in ("*a" * 1_000_000 + "*X", "*a" * 30 + "*X", "*" * 1_000_000 + "X"):
        rows = b'[{"name": "%s"}]' % pattern.encode()
        assert _in_budget(published_bytes.forge, b"gitlab\n" + published_bytes.BETWEEN.join([b"{}", rows])) == WELL


TENS = "[1,2,3,4,5,6,7,8,9,10]"


def _doubled(end: str) -> str:
    return "[1]" + ".map(x,[x,x])" * 100 + end


CEL = {
    "lists in lists": "".join(f"{TENS}.all({name}," for name in "abcdefgh") + "true" + ")" * 8,
    "lists that are made": "".join(f"{TENS}.map({name}," for name in "abcdefgh") + "[a]" + ")" * 8,
    "doubled and compared": _doubled(".map(v, v == v)"),
    "doubled and looked for": _doubled(".map(v, v in v)"),
    "doubled and told in an error": _doubled(".foo"),
    "doubled beside a name that is none": _doubled(".map(v, nothing)"),
    "doubled beside a function that is none": _doubled(".map(v, nothing(1))"),
    "doubled beside a method that is none": _doubled(".map(v, v.nothing(1))"),
    "doubled, and true": _doubled(".map(v, v && true)"),
    "doubled, and all": _doubled(".all(v, v)"),
    "doubled as a text": _doubled(".map(v, string(v))"),
    "a text that doubles": f"{TENS[:-1]},1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1].reduce(r,i,'aaaaaaaaaaaaaaaa',r+r)",
    "a format of Python": 'size("%1000000000d" % 1) > 0',
    "a text often": 'size("a" * 1000000000) > 0',
    "brackets": "(" * 2000 + "1" + ")" * 2000,
    "denials": "!" * 4000 + "true",
    "sums": "1+" * 2000 + "1",
    "fields": "a." * 2000 + "a",
}


def _evaluated(data: bytes) -> None:
    expression = data.decode()
    assert len(expression) <= MAX_EXPRESSION
    expressions.check(CustomRule("rule", expression))
    assert expressions.problem_of(expression, {})


@pytest.mark.parametrize("way", CEL)
def test_cel(way: str) -> None:
    pytest.importorskip("celpy")
    assert _in_budget(_evaluated, CEL[way].encode()) == WELL


def test_cel_counts_its_steps() -> None:
    pytest.importorskip("celpy")
    assert (
        expressions.problem_of(CEL["lists in lists"], {})
        == f"the expression takes more than {expression_work.MOST} steps"
    )
    assert expressions.problem_of(f"{TENS}.all(a, {TENS}.all(b, a + b > 1))", {}) == ""


@pytest.mark.parametrize("text", ['"a".matches("a+")', '"a".matches // a comment\n("a+")', '.matches("a", "a+")'])
def test_cel_has_no_regular_expressions(text: str) -> None:
    pytest.importorskip("celpy")
    with pytest.raises(FormatError, match="matches"):
        expressions.check(CustomRule("rule", text))


@pytest.mark.parametrize("aliases", [False, True])
def test_vex_of_as_many_statements_as_findings(aliases: bool) -> None:
    """Each finding looked through all statements, and each alias through all groups."""
    now, count = datetime(2026, 1, 1, tzinfo=UTC), 100_000
    rows: list[dict[str, object]] = [
        {"vulnerability": {"name": f"CVE-{n}", "aliases": [f"CVE-{n + 1}"] if aliases else []}, "status": "fixed"}
        for n in range(count)
    ]
    document = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": rows}

    def judged(_: bytes) -> None:
        artifact = vex.Artifact.of_archive("core-1.zip", "1", None)
        found = vex.judge([("it", document)], artifact, [f"CVE-{n}" for n in range(count)], now=now)
        assert len(found.harmless) == count

    assert _in_budget(judged, b"") == WELL


def _searched(data: bytes) -> None:
    list(stream.scan(io.BytesIO(data)))


def test_429_bytes_that_hold_the_secrets_gate() -> None:
    """Whatever a rule begins with, again and again, with what may stand between: each 429 bytes, all in one budget."""
    begins = sorted({literal for rule in RULES for literal in rule.literals})
    between = (b"", b"a", b"=", b"://", b'"', b"\\", b"A0_-" * 8, b" : ", b"@", b"\n")
    texts = [((begin + one) * 429)[:429] for begin in begins for one in between]
    assert _in_budget(lambda _: [_searched(text) for text in texts] and None, b"") == WELL


def test_an_elf_of_1700_bytes_whose_sections_are_each_other() -> None:
    """65,535 rows of a table that are one row, each a note as long as the file."""
    row = struct.pack("<2I4Q2I2Q", 1, 7, 0, 0, 64, 1600, 0, 0, 4, 0)
    notes = (struct.pack("<3I", 4, 4, 3) + b"GNU\0" + b"\1\2\3\4") * 78
    for size, count in ((0, 0xFFFF), (64, 0xFFFF), (1, 0xFFFF)):
        head = bytearray(b"\x7fELF\2\1\1" + bytes(57) + notes[:1560] + b"\0.dep-v0\0" + row)
        struct.pack_into("<Q", head, 0x28, len(head) - len(row))
        struct.pack_into("<3H", head, 0x3A, size, count, 0)
        assert len(head) < 1_720
        for parse in (variants.marks, linkable.pieces, _linked):
            assert _in_budget(parse, bytes(head)) == WELL


def _linked(data: bytes) -> None:
    with contextlib.suppress(linked.Unreadable):
        linked.packages(data)


def test_paths_of_a_product_that_begin_with_each_other() -> None:
    """Each was held against all before it, with a copy of what is left: 110 MB of a manifest took 46 s."""
    row = b'{"component":"c","digest":"%b","mode":"0644","path":"%%b","size":1}' % sha256(b"").encode()
    rows = b",".join(row % (b"a" * length) for length in range(1, 15_000))
    made = ProductManifest("p", "tar.gz", {"c": ComponentTree(sha256(b"tree"))}, ()).to_bytes()
    assert _in_budget(product_manifests.parse, made.replace(b'"files":[', b'"files":[' + rows)) == WELL


def test_folders_that_are_deeper_than_any() -> None:
    """Each that ended was held against the whole path of the next file."""
    entry = TreeEntry(b"", "file", 0o644, 0, sha256(b""))
    files = [(b"a/" * 100_000 + b"f", entry), (b"b", entry)]
    assert _in_budget(lambda _: tree_building.built(files), b"") == WELL
