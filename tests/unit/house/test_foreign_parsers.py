"""Whatever takes bytes apart is in the table of ADR 26: where it runs, what bounds it, how it is fuzzed."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

from bundlers.gates import pinning
from bundlers.inspection import looking

ROOT = Path(__file__).parents[3]
TABLE = ROOT / "docs" / "adr" / "0026-which-parsers-run-in-a-cell.md"
OWNED = {
    "json.loads",
    "json.load",
    "tomllib.loads",
    "tomllib.load",
    "tarfile.open",
    "Metadata.from_bytes",
    "SafeTree.parse",
}
OWNED |= {"zipfile.ZipFile", "celpy.Environment", "pickle.loads", "marshal.loads", "plistlib.loads", "html.parser"}
ALONE = {
    "unpackb", "decompress", "decompressobj", "ZstdDecompressor", "BZ2Decompressor", "LZMADecompressor", "Unpickler",
    "iterparse", "HeaderParser", "parsedate_to_datetime", "compose_all", "safe_load", "fromstring", "fromroot",
    "load_der_x509_certificate", "load_pem_x509_certificate", "load_pem_private_key", "load_pem_public_key",
    "load_der_public_key", "decode_timestamp_response", "literal_eval", "DictReader", "RawConfigParser", "ConfigParser",
}  # fmt: skip


def _calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            owner = node.value.id if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) else ""
            if name in ALONE or f"{owner}.{name}" in OWNED:
                yield name


def _parsers() -> set[str]:
    paths = [path for package in ("attest", "casstore", "bundlers", "cli") for path in (ROOT / package).rglob("*.py")]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in paths
        if any(True for _ in _calls(ast.parse(path.read_text(encoding="utf-8"))))
    }


def _rows() -> dict[str, list[str]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {row[0].strip("`"): row for row in rows}


def test_every_parser_is_in_the_table_and_no_other() -> None:
    assert _parsers() == set(_rows())


def test_what_runs_in_a_cell_is_imported_by_nobody_else() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    kept = contracts["importlinter:contract:door-foreign-bytes"]["protected_modules"].split()
    for module, row in _rows().items():
        assert row[2] in ("cell", "in process", "ours"), module
        assert (row[2] == "cell") == any(module == one or module.startswith(f"{one}.") for one in kept), module


def test_what_is_foreign_says_what_bounds_it_and_is_fuzzed_by_a_name_that_there_is() -> None:
    from tests.support.foreign_bytes import FOREIGN
    from tests.support.stored_bytes import PARSERS

    for module, row in _rows().items():
        assert row[3] or row[2] == "ours", module
        assert set(re.findall(r"`([^`]+)`", row[4])) <= {*FOREIGN, *PARSERS}, module
        assert row[2] != "cell" or row[4], module


def test_a_cell_offers_what_is_listed() -> None:
    assert set(looking.PARSERS) >= {"look", "secrets", "package", "lock"} and set(pinning.PARSERS) == {"told"}
