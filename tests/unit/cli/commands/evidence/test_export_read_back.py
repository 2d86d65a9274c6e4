"""What `attest export` writes in each of its forms is read back by `import` and `attest show`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import invoke

TOML = """\
[store]
url = "./store"
[components.core]
root = "build"
include = ["**"]
[products.core]
components = ["core"]
format = "oci"
[channels.dev]
approvals = 0
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person with one key, and a release."""
    place = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        enter(place, patch)
        (place / "build").mkdir()
        (place / "build" / "a").write_text("a file")
        (place / "casstore.toml").write_text(TOML)
        assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
        assert invoke(["init", "--key", "key.pem"]) == 0
        assert invoke(["put", "--all", "--release-version", "1.0.0"]) == 0
        assert invoke(["release", "1.0.0"]) == 0
    return place


def enter(place: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(place)
    patch.setenv("HOME", str(place / "home"))
    patch.setenv("CASSTORE_KEY", "key.pem")
    patch.delenv("CASSTORE_STORE", raising=False)


@pytest.mark.parametrize("form", ["sigstore", "jsonl", "dsse", "oci", "in-toto"])
def test_each_form(here: Path, form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    enter(here, monkeypatch)
    key = ["--key", "key.pem"] if form == "in-toto" else []
    assert invoke(["attest", "export", "1.0.0", form, "--format", form, *key]) == 0
    capsys.readouterr()
    code = invoke(["import", form, "--json"])
    rows = json.loads(capsys.readouterr().out)["imported"]
    outcomes, what = {row["outcome"] for row in rows}, {row["what"] for row in rows}
    if form == "in-toto":
        assert (code, outcomes) == (4, {"passed over"}), "links are no statements about digests"
        assert what == {"in-toto link", "in-toto layout"}
    else:
        assert code == 0 and outcomes <= {"known", "recorded"}, rows
        assert "slsa-provenance" in what and all(row["signer"].startswith("key:sha256:") for row in rows)
    for file in {row["file"] for row in rows}:
        capsys.readouterr()
        assert invoke(["attest", "show", file]) == 0
        assert json.loads(capsys.readouterr().out)
