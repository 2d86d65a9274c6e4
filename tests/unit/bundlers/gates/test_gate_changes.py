"""versions, change-budget and reproducible: gates that compare, in real releases."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from bundlers import formats
from bundlers.errors import GateFailed
from bundlers.gates.base import ReleaseView
from tests.support.lines import TOML, Line


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line.make(tmp_path, toml=TOML)


def failed(line: Line, version: str, gates: str) -> tuple[str, ...]:
    """Messages of the gates that stop a release; put first."""
    line.configure(f"{TOML}\n[gates]\n{gates}\n")
    line.put(version)
    try:
        line.ship(version, dry_run=True)
    except GateFailed as exc:
        return tuple(blocker.message for blocker in exc.blockers)
    return ()


VERSIONS = """versions.files."core-bin/core/VERSION" = '(.+)'"""


def test_version_in_a_file(line: Line) -> None:
    line.write({"core/VERSION": b"1.2.0\n"})
    assert failed(line, "1.2.0", VERSIONS) == ()
    assert failed(line, "1.3.0", VERSIONS) == ("core-bin/core/VERSION: says '1.2.0', not '1.3.0'",)


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ("""versions.files."core-bin/nowhere" = '(.+)'""", "no file of any component has such a name"),
        ("""versions.files."core-bin/core/etc/*" = '^version = (.+)'""", "says nothing, not '1.0.0'"),
        ("""versions.files."x" = '(.+'""", "not a regular expression"),
        ("""versions.files."x" = '.+'""", "has 0 groups"),
        ("versions = {}", "nothing to compare"),
        ("""versions = { tag = "v{version}" }""", "bears the tag v1.0.0"),
    ],
)
def test_versions_that_cannot_be_compared_fail(line: Line, gates: str, said: str) -> None:
    assert said in failed(line, "1.0.0", gates)[0]


def test_several_versions_in_one_file(line: Line) -> None:
    line.write({"core/VERSION": b"1.2.0\n1.3.0\n"})
    assert failed(line, "1.2.0", VERSIONS) == ("core-bin/core/VERSION: says '1.2.0', '1.3.0', not '1.2.0'",)


def test_tag_of_the_built_revision(line: Line) -> None:
    tag = 'versions = { tag = "v{version}" }'
    line.configure(f"{TOML}\n[gates]\n{tag}\n")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1.0.0"]):
        subprocess.run([*git, *words], cwd=line.root, check=True)
    assert failed(line, "1.0.0", tag) == ()
    assert len(failed(line, "1.1.0", tag)) == 3
    line.write({"core/etc/core.conf": b"changed"})
    assert "differs from the tag" in failed(line, "1.0.0", tag)[0]


def shipped(line: Line) -> Line:
    line.write({"core/text": b"".join(b"line %d\n" % n for n in range(100))})
    line.put("1.0.0")
    line.ship("1.0.0")
    return line.later()


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("files = 3", ()),
        ("files = 2", ("3 files differ from 1.0.0, at most 2",)),
        ("removed = 1", ()),
        ("removed = 0", ("1 files of 1.0.0 are gone, at most 0",)),
        ("lines = 20", ()),
        ("lines = 19", ("core-bin/core/text: 20 lines changed, at most 19",)),
        ('files = 1, exclude = ["*/etc/*", "*/new"]', ()),
    ],
)
def test_change_budget(line: Line, limit: str, said: tuple[str, ...]) -> None:
    shipped(line)
    (line.root / "core/etc/core.conf").unlink()
    text = b"".join(b"line %d\n" % (n if n >= 10 else n + 1000) for n in range(100))
    line.write({"core/new": b"\0" * 1000, "core/text": text})
    assert failed(line, "1.1.0", f"change-budget = {{ {limit} }}") == said


def test_mode_alone_is_a_change(line: Line) -> None:
    shipped(line)
    (line.root / "core/text").chmod(0o755)
    assert failed(line, "1.1.0", "change-budget = { files = 0 }")


def test_first_release_and_budget_without_limit(line: Line) -> None:
    assert failed(line, "1.0.0", "change-budget = { files = 0 }") == ()
    assert "no limit" in failed(line, "1.0.0", "change-budget = {}")[0]


def test_archives_are_reproducible(line: Line) -> None:
    assert failed(line, "1.0.0", "reproducible = {}") == ()


def test_archive_that_is_not_reproducible(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    from bundlers.gates.builtin import reproducible

    real = formats.write

    def other(manifest: Any, reader: Any, out: Any, *, workers: int = 2) -> Any:
        out.write(b"\x1f")
        return real(manifest, reader, out, workers=workers)

    line.put("1.0.0")
    view: list[ReleaseView] = []
    check = reproducible.check
    with monkeypatch.context() as patch:

        def spoiled(seen: ReleaseView, settings: Any) -> Any:
            view.append(seen)
            patch.setattr(formats, "write", other)
            return check(seen, settings)

        patch.setattr(reproducible, "check", spoiled)
        messages = failed(line, "1.0.0", "reproducible = {}")
    assert [message.split(":")[0] for message in messages] == ["agent-1.0.0.zip", "core-1.0.0.tar.gz"]
    assert "core-1.0.0.tar.gz: written again, it differs from byte 1 on" in messages
