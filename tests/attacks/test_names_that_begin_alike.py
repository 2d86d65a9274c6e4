"""A builder called `core-evil`, whose key the owners themselves bound to that name, against a policy line for `core`.

Nothing is forged here: the id is proven, and the signature good. Who wrote the policy meant another name.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.main import invoke
from tests.support.typed_line import TOML, begun, released, said, to_prod, told, typed

HOST = "https://github.com/example"
FLOW = ".github/workflows/release.yml@refs/heads/main"
BUILDERS, SOURCES = f'builders = ["{HOST}/core/*"]', f'sources = ["{HOST}/core@refs/*"]'


def asking(line: str) -> str:
    """The line's casstore.toml, in which prod asks for it."""
    return TOML.replace("approvals = 1\n", f'approvals = 1\nrequire = ["slsa-provenance"]\n{line}\n', 1)


def works_as(monkeypatch: pytest.MonkeyPatch, name: str, root: int) -> None:
    """CI of a repository, whose builder id and source the owners have bound to the key."""
    for key, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": f"example/{name}",
        "GITHUB_WORKFLOW_REF": f"example/{name}/{FLOW}",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_SHA": "a" * 40,
        "GITHUB_RUN_ID": "1",
    }.items():
        monkeypatch.setenv(key, value)
    bound = f"--builder owner={HOST}/{name}/{FLOW} --source owner={HOST}/{name}@refs/heads/main"
    typed(
        f"keys ceremony draft {bound} --out {root}.draft",
        f"keys ceremony sign {root}.draft --key key.pem --out {root}.sig",
        f"keys ceremony finish {root}.draft {root}.sig",
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (BUILDERS, f"its builder '{HOST}/core-evil/{FLOW}' is not allowed"),
        (SOURCES, f"its source '{HOST}/core-evil@refs/heads/main' is not allowed"),
    ],
)
def test_core_evil_is_not_core(
    line: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(tmp_path, monkeypatch, asking(line))
    (tmp_path / "a" / "tool").write_text("honest")
    works_as(monkeypatch, "core", 2)
    released("1.0.0")
    to_prod("1.0.0")
    (tmp_path / "a" / "tool").write_text("evil")
    works_as(monkeypatch, "core-evil", 3)
    released("1.1.0")
    typed("promote 1.1.0 --to dev", "approve 1.1.0 --channel prod")
    assert why in said(capsys, "promote 1.1.0 --to prod", 4)
    assert why in said(capsys, "explain 1.1.0 --to prod", 4)
    (row,) = [row for row in told(capsys, "channel")["channels"] if row["channel"] == "prod"]
    assert row["version"] == "1.0.0"


@pytest.mark.parametrize("line", [f'builders = ["{HOST}/core*"]', f'sources = ["{HOST}/core*@refs/heads/main"]'])
def test_a_line_that_would_take_both_is_no_policy(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither at the beginning, nor by what owners draft later."""
    begun(tmp_path, monkeypatch)
    (tmp_path / "casstore.toml").write_text(asking(line))
    capsys.readouterr()
    assert invoke(["keys", "ceremony", "draft", "--out", "2.draft"]) != 0
    why = capsys.readouterr().err
    assert "begin alike" in why and "core*" in why and "hint: " in why
    assert not Path("2.draft").exists()
    assert "begin alike" in said(capsys, "config check", 2)
