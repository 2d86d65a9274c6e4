"""sigstore's conformance suite, by `attest verify-bundle`: every kind of its cases, and the suite itself where it is.

`tests/data/sigstore-conformance` keeps 20 of its 70 cases. The other 50 are made, after what the suite's names and
notes say, from bundles of a private instance: what must be refused, is refused for that very reason. The suite as
it is runs where CASSTORE_SIGSTORE_CONFORMANCE names its folder (`test/assets/bundle-verify`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sigstore", reason="keyless signing needs the [keyless] extra")

import conformance_cases
from conformance_cases import ANN, ISSUER, Case
from private_sigstore import PrivateSigstore

from attest.digests import sha256
from casstore.machine import clock
from cli import main

DATA = Path(__file__).parents[1] / "data" / "sigstore-conformance"
WHOLE = os.environ.get("CASSTORE_SIGSTORE_CONFORMANCE")
BEACON = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows"
    "/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
ACTIONS = "https://token.actions.githubusercontent.com"


def cases(folder: str | None) -> list[Path]:
    return sorted(path for path in Path(folder).iterdir() if path.is_dir()) if folder else []


@pytest.mark.skipif(not WHOLE, reason="CASSTORE_SIGSTORE_CONFORMANCE names no folder of the official suite")
@pytest.mark.parametrize("by", ["path", "digest"])
@pytest.mark.parametrize("case", cases(WHOLE), ids=lambda path: path.name)
def test_the_official_suite(case: Path, by: str) -> None:
    artifact = case / "artifact" if (case / "artifact").exists() else case.parent / "a.txt"
    texts = {name: (case / name).read_text().strip() for name in ("identity", "issuer") if (case / name).exists()}
    who = ["--certificate-identity", texts.get("identity", BEACON)]
    who += ["--certificate-oidc-issuer", texts.get("issuer", ACTIONS)]
    arguments = ["attest", "verify-bundle", "--bundle", str(case / "bundle.sigstore.json")]
    arguments += ["--key", str(case / "key.pub")] if (case / "key.pub").exists() else who
    root = case / "trusted_root.json"
    arguments += ["--trusted-root", str(root)] if root.exists() else []
    arguments.append(str(artifact) if by == "path" else sha256(artifact.read_bytes()))
    assert main.invoke(arguments) == (3 if case.name.endswith("_fail") else 0)


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[bytes, dict[str, Case]]]:
    """The instance's trusted root, and the cases by name."""
    with PrivateSigstore() as instance:
        yield instance.trusted_root(), conformance_cases.made(instance)


NAMES = (DATA / "made-here.txt").read_text().split()
"""The cases of the suite (commit a73de497) that are not in tests/data."""


def test_every_case_of_the_suite_is_here(made: tuple[bytes, dict[str, Case]]) -> None:
    kept = {path.name for path in cases(str(DATA))}
    assert sorted(made[1]) == NAMES and len(kept) + len(NAMES) == 70 and not kept & set(NAMES)
    if WHOLE:
        assert {path.name for path in cases(WHOLE)} <= kept | set(NAMES), "the suite has new cases: make them here"


@pytest.mark.parametrize("by", ["path", "digest"])
@pytest.mark.parametrize("name", NAMES)
def test_each_kind_of_case(
    made: tuple[bytes, dict[str, Case]],
    name: str,
    by: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    case = made[1][name]
    root = json.loads(case.root_json or made[0])
    case.root(root)
    (tmp_path / "root.json").write_text(json.dumps(root))
    (tmp_path / "f").write_bytes(case.content)
    raw = case.bundle if isinstance(case.bundle, bytes) else json.dumps(case.bundle).encode()
    (tmp_path / "b.json").write_bytes(raw)
    if case.at is not None:
        monkeypatch.setattr(clock, "now", lambda: case.at)
    arguments = ["attest", "verify-bundle", "--bundle", str(tmp_path / "b.json")]
    arguments += ["--certificate-identity", ANN, "--certificate-oidc-issuer", ISSUER]
    arguments += ["--trusted-root", str(tmp_path / "root.json")]
    code = main.invoke([*arguments, str(tmp_path / "f") if by == "path" else sha256(case.content)])
    said = capfd.readouterr().err
    assert code == (3 if name.endswith("_fail") else 0), said
    assert case.why in said and bool(case.why) == name.endswith("_fail"), said
