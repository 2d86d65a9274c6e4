"""What a plain read by digest loads: a short command is mostly imports, so what it must not load is written down."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from casstore.objects.kinds import Kind
from casstore.store.store import Store

_PROBE = """
import sys
from cli.main import invoke
code = invoke(sys.argv[1:])
sys.stderr.write("\\n".join(sorted(sys.modules)))
sys.exit(code)
"""
NOT_FOR_A_DIGEST = {
    "asyncio", "concurrent.futures", "cryptography", "email", "fsspec", "http", "importlib.metadata",
    "logging", "numpy", "pydantic", "requests", "rich", "secrets", "securesystemslib", "shutil", "sigstore", "socket",
    "ssl", "subprocess", "tempfile", "tomllib", "tuf", "urllib.parse", "urllib.request",
    "attest.statements.envelopes", "attest.keys.keys", "attest.trust.policies", "attest.signers",
    "attest.statements.statements",
    "attest.trust.trust_roots",
    "bundlers.archives", "bundlers.products.product_manifests", "bundlers.building.provenance", "bundlers.releases",
    "casstore.checkout", "casstore.config", "casstore.fsck", "casstore.gc", "casstore.index.compare",
    "casstore.ingest", "casstore.ledger", "casstore.network.network", "casstore.objects.pack_writer",
    "casstore.promotion", "casstore.promotion.trust",
}  # fmt: skip


def loaded(*arguments: str, folder: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments], capture_output=True, text=True, cwd=folder, check=True
    )
    return set(done.stderr.split())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.init(str(tmp_path_factory.mktemp("plain") / "store"))


def test_a_plain_read_loads_no_ledger_no_network_and_no_keys(store: Store, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/one").write_bytes(b"one")
    tree = store.put_tree(str(tmp_path / "work")).tree
    blob = store.put_bytes(b"two", kind=Kind.BLOB)
    for command in (("cat", blob), ("ls", blob), ("ls", tree)):
        found = loaded("--store", store.url, *command, folder=tmp_path)
        assert "casstore.store.store" in found
        assert found & NOT_FOR_A_DIGEST == set(), command


def test_help_loads_neither_store_nor_keys(tmp_path: Path) -> None:
    found = loaded("--help", folder=tmp_path)
    assert "cli.main" in found
    unwanted = NOT_FOR_A_DIGEST | {"casstore.store.store", "lmdb", "msgpack", "zstandard"}
    assert found & unwanted <= {"shutil"}  # click asks it for the terminal's width
