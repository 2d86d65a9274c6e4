"""The golden files of trust root, policy, decision and predicates are what the code writes, and stay readable."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from attest import canonical
from attest.statements.predicates import own
from attest.trust import trust_chain
from attest.trust.policies import ChannelPolicy

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
MADE = runpy.run_path(str(HERE / "make_trust.py"))
FILES: dict[str, bytes] = MADE["files"]()
FOLDERS = ("trust-root", "policy", "decision", "predicates")


@pytest.mark.parametrize("name", sorted(FILES))
def test_golden_file_is_what_is_written_now(name: str) -> None:
    assert (GOLDEN / name).read_bytes() == FILES[name]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_golden_file_is_forgotten(folder: str) -> None:
    kept = {str(path.relative_to(GOLDEN)) for path in (GOLDEN / folder).rglob("*") if path.is_file()}
    assert kept == {name for name in FILES if name.startswith(folder + "/")}


def test_the_golden_chain_verifies() -> None:
    raws = [(GOLDEN / f"trust-root/{version}.signed.json").read_bytes() for version in (1, 2, 3)]
    chain = trust_chain.verify_chain(raws, at=MADE["third"]().created, read=lambda _: b"trusted root")
    assert [canonical.dumps(root.to_json()) for root in chain] == [
        (GOLDEN / f"trust-root/{version}.json").read_bytes() for version in (1, 2, 3)
    ]


def test_golden_policies_read_back() -> None:
    for path in (GOLDEN / "policy").iterdir():
        raw = path.read_bytes()
        assert canonical.dumps(ChannelPolicy.parse("x", canonical.loads_object(raw, what="policy")).to_json()) == raw


def test_golden_predicates_read_back() -> None:
    for path in (GOLDEN / "predicates").iterdir():
        raw = path.read_bytes()
        assert canonical.dumps(own(path.stem)(canonical.loads_object(raw, what=path.stem)).to_json()) == raw


def test_every_predicate_of_our_own_has_a_page_and_a_golden_file() -> None:
    pages = {path.stem for path in (HERE.parents[1] / "docs/formats/predicates").iterdir()} - {"build-types"}
    assert pages == {path.stem for path in (GOLDEN / "predicates").iterdir()}
