"""Putting components: built, stored, signed and recorded together, or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from attest.errors import BadInput, PolicyDenied
from attest.statements.predicates import slsa_provenance
from attest.trust import verify
from bundlers.building import provenance
from bundlers.building.building import BuildFailed
from bundlers.building.provenance import builder_id, revision_of
from casstore.errors import Conflict, NoSuchObject
from casstore.objects.tree import show
from casstore.store.attestations import find
from tests.support.lines import FILES, TOML, Line
from tests.support.worlds import signer


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    for system in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(system, raising=False)
    return Line.make(tmp_path, toml=TOML)


def built(toml: str, *words: str) -> str:
    argv = ", ".join(f'"{word}"' for word in words)
    return toml.replace('include = ["core/**"]', f'include = ["core/**"]\nbuild = [{argv}]')


def test_one_put_is_one_entry_with_a_verified_statement(line: Line) -> None:
    report = line.put("1.0.0")
    assert report.entry is not None and report.entry.number == 1
    state = line.state
    assert {name for _, name in state.components} == {"core-bin", "agent-bin", "licences"}
    (found,) = find(line.store, state.components["1.0.0", "core-bin"])
    assert found.digest == report.statement
    verified = verify.verify(
        found.raw,
        trust_root=state.require_trust_root(),
        predicate_type=slsa_provenance.TYPE,
        subjects=state.components.values(),
        at=line.now,
        role="builder",
    )
    slsa_provenance.check(verified.statement.predicate)
    definition = verified.statement.predicate["buildDefinition"]
    assert definition["buildType"] == slsa_provenance.PUT
    assert definition["externalParameters"]["releaseVersion"] == "1.0.0"
    assert definition["externalParameters"]["components"]["core-bin"]["include"] == ["core/**"]
    (dependency,) = definition["resolvedDependencies"]
    assert "sha256:" + dependency["digest"]["sha256"] == line.config.digest


def test_tree_holds_what_the_globs_name(line: Line) -> None:
    line.put("1.0.0", "core-bin")
    tree = line.state.components["1.0.0", "core-bin"]
    assert [show(path) for path, _ in line.store.walk(tree)] == sorted(n for n in FILES if n.startswith("core/"))


def test_later_put_of_a_version_replaces(line: Line) -> None:
    line.put("1.0.0")
    before = line.state.components["1.0.0", "core-bin"]
    line.write({"core/bin/core": b"mended"})
    line.put("1.0.0", "core-bin")
    assert line.state.components["1.0.0", "core-bin"] != before
    assert line.ship("1.0.0").components["core-bin"] == line.state.components["1.0.0", "core-bin"]


def test_build_runs_first_and_is_recorded(line: Line) -> None:
    script = (
        "import os; open('core/made', 'w').write(os.environ['CASSTORE_COMPONENT'] + os.environ['CASSTORE_VERSION'])"
    )
    line.configure(built(TOML, "python3", "-c", script))
    report = line.put("1.0.0")
    assert (line.root / "core/made").read_text() == "core-bin1.0.0"
    (core,) = (item for item in report.components if item.name == "core-bin")
    assert core.build is not None and core.report.files == 4
    (found,) = find(line.store, core.report.tree)
    builds = found.statement.predicate["buildDefinition"]["internalParameters"]["builds"]
    assert set(builds) == {"core-bin"}
    assert builds["core-bin"]["exitCode"] == 0 and builds["core-bin"]["maxRssBytes"] > 0


def test_failed_build_records_nothing(line: Line) -> None:
    line.configure(built(TOML, "python3", "-c", "raise SystemExit('no compiler')"))
    before = len(line.store.digests())
    with pytest.raises(BuildFailed, match="exit code 1: no compiler"):
        line.put("1.0.0")
    assert line.state.count == 1
    assert len(line.store.digests()) == before


def test_build_that_does_not_end(line: Line) -> None:
    line.configure(built(TOML, "sleep", "60").replace("build = ", "build_timeout = 0.2\nbuild = "))
    with pytest.raises(BuildFailed, match="did not end in time"):
        line.put("1.0.0")


def test_build_program_that_is_not_there(line: Line) -> None:
    line.configure(built(TOML, "no-such-compiler"))
    with pytest.raises(NoSuchObject, match="no-such-compiler: no such program"):
        line.put("1.0.0")


@pytest.mark.parametrize(("names", "said"), [(("core-bim",), "did you mean 'core-bin'"), (("x", "core-bin"), "'x'")])
def test_unknown_component(line: Line, names: tuple[str, ...], said: str) -> None:
    with pytest.raises(NoSuchObject, match=said):
        line.put("1.0.0", *names)
    assert line.state.count == 1


def test_component_without_files(line: Line) -> None:
    line.configure(TOML.replace("agent/**", "nowhere/**"))
    with pytest.raises(BadInput, match="nothing matches 'nowhere/\\*\\*'"):
        line.put("1.0.0")
    assert line.state.count == 1, "the others are not recorded either"


def test_no_component_at_all(line: Line) -> None:
    line.configure("")
    with pytest.raises(BadInput, match="no component is named"):
        line.put("1.0.0")


def test_only_a_builder_puts(line: Line) -> None:
    with pytest.raises(PolicyDenied, match="builder"):
        line.put("1.0.0", by="ann")


@pytest.mark.parametrize("version", ["", "../1", "1 0", "x" * 200])
def test_version_must_be_one(line: Line, version: str) -> None:
    with pytest.raises(BadInput, match="not a version"):
        line.put(version)


def test_released_version_is_closed(line: Line) -> None:
    line.put("1.0.0")
    line.ship("1.0.0")
    count = line.state.count
    assert line.put("1.0.0").entry is None, "a CI job that runs again is told: the same already"
    assert line.state.count == count
    line.write({"core/bin/core": b"other"})
    with pytest.raises(Conflict, match="closed"):
        line.put("1.0.0")


def test_other_bytes_for_a_version_are_taken_only_on_purpose(line: Line) -> None:
    line.put("1.0.0")
    assert line.put("1.0.0", replace=False).entry is None
    line.write({"core/bin/core": b"other"})
    with pytest.raises(Conflict, match="put with other bytes"):
        line.put("1.0.0", replace=False)
    assert line.put("1.0.0").replaced == ("core-bin",)


def test_a_put_that_was_killed_after_its_entry_is_not_recorded_again(line: Line) -> None:
    done = provenance.commit

    def killed(*args: Any, **options: Any) -> Any:
        done(*args, **options)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            line.put("1.0.0", replace=False)
    count = line.state.count
    assert line.put("1.0.0", replace=False).entry is None
    assert line.state.count == count


def test_revision_of_the_folder_is_recorded(line: Line) -> None:
    assert revision_of(str(line.root)) is None
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "-q"], cwd=line.root, check=True)
    assert revision_of(str(line.root)) is None, "no commit yet"
    subprocess.run([*git, "add", "."], cwd=line.root, check=True)
    subprocess.run([*git, "commit", "-qm", "x"], cwd=line.root, check=True)
    found = revision_of(str(line.root))
    assert found is not None and not found.dirty and len(found.commit) == 40
    subprocess.run([*git, "tag", "v1.0.0"], cwd=line.root, check=True)
    line.write({"core/bin/core": b"changed"})
    report = line.put("1.0.0", "core-bin")
    (stored,) = find(line.store, report.components[0].report.tree)
    recorded = stored.statement.predicate["buildDefinition"]["internalParameters"]["revision"]
    assert recorded == {"commit": found.commit, "tags": ["v1.0.0"], "dirty": True}


def test_builder_id_is_a_uri() -> None:
    assert builder_id(signer("ci").identity).startswith("urn:casstore:builder:key:sha256:")
    keyless = "oidc:https://issuer.example#repo"
    assert builder_id(keyless) == keyless
