"""The names that the library's page calls public are there, are what the packages say, and the page's lines run."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "guide" / "library.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", PAGE, re.MULTILINE)
WHOLE = {"attest", "casstore.store", "casstore.ledger", "bundlers.releases", "bundlers.consuming"}
"""Packages whose every public name stands on the page."""


@pytest.mark.parametrize(("package", "names"), ROWS, ids=[package for package, _ in ROWS])
def test_a_public_name_is_there(package: str, names: str) -> None:
    module = import_module(package)
    told = set(re.findall(r"`(\w+)`", names))
    assert told
    assert {name for name in told if getattr(module, name, None) is None} == set()
    assert told - set(module.__all__) == set()
    if package in WHOLE:
        assert told == set(module.__all__)


def test_another_name_is_told_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'attest' has no attribute 'nonsense'"):
        _ = import_module("attest").nonsense


def test_every_line_of_the_page_runs(tmp_path: Path) -> None:
    from attest.keys import keys

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"content")
    (tmp_path / "key.pem").write_bytes(keys.private_to_pem(keys.generate("ed25519"), None))
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "0"
    assert (tmp_path / "copy" / "file").read_bytes() == b"content"
