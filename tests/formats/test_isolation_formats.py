"""The golden acceptance is what the code writes, stays readable, and no other writing of it is read."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from attest import canonical
from attest.errors import FormatError
from bundlers.isolation.explained import acceptances
from casstore.objects.tree import TreeEntry
from casstore.store.store import Store

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "isolation-acceptance"
MADE = runpy.run_path(str(HERE / "make_isolation.py"))


def test_golden_files_are_what_is_written_now() -> None:
    assert {path.name: path.read_bytes() for path in GOLDEN.iterdir()} == MADE["files"]()


def test_a_golden_acceptance_stays_readable(tmp_path: Path) -> None:
    with Store.init(str(tmp_path / "store")) as store:
        tree = store.put_tree(str(GOLDEN)).tree
        made, blob = acceptances.read(store, tree)
        assert made == MADE["accepted"]()
        assert acceptances.write(store, made, (GOLDEN / "stretches").read_bytes()) == tree
        assert blob == next(entry.content for path, entry in store.walk(tree) if path == b"stretches")


CHANGES: dict[str, dict[str, object]] = {
    "another format": {"format": "casstore-isolation-acceptance/2"},
    "one product": {"between": ["agent", "agent"]},
    "unsorted products": {"between": ["core", "agent"]},
    "nothing": {"contents": [], "marks": [], "stretches": []},
    "whole files that it does not own up to": {"whole": False},
    "a key that is not known": {"paths": ["*"]},
    "unsorted": {"marks": ["b", "a"]},
    "a length of nothing": {"contents": [["sha256:" + "0" * 64, 0]]},
    "no pairs": {"stretches": [[5]]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_written_so_is_refused(change: str) -> None:
    value = json.loads((GOLDEN / "accept.json").read_bytes()) | CHANGES[change]
    with pytest.raises(FormatError):
        acceptances.parse(canonical.dumps(value))


@pytest.mark.parametrize("harm", ["other bytes", "more bytes", "less bytes", "another file", "no list"])
def test_a_tree_that_is_not_what_it_lists_is_refused(tmp_path: Path, harm: str) -> None:
    stretches = (GOLDEN / "stretches").read_bytes()
    files = {"accept.json": (GOLDEN / "accept.json").read_bytes(), "stretches": stretches}
    if harm == "another file":
        files["readme"] = b"x"
    elif harm == "no list":
        del files["accept.json"]
    else:
        changed = {"other bytes": b"X" + stretches[1:], "more bytes": stretches + b"x", "less bytes": stretches[:-1]}
        files["stretches"] = changed[harm]
    with Store.init(str(tmp_path / "store")) as store:
        entries = {
            name.encode(): TreeEntry(name.encode(), "file", 0o644, len(data), store.put_bytes(data))
            for name, data in files.items()
        }
        with pytest.raises(FormatError):
            acceptances.read(store, store.build_tree(entries))
