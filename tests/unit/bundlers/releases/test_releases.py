"""The release pipeline: all or nothing, the same again, and told truly."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from attest.digests import sha256
from attest.errors import BadInput, PolicyDenied
from attest.statements.predicates import isolation, slsa_provenance, test_result
from attest.trust import verify
from bundlers import blockers
from bundlers.errors import BaselineFailed, CrossProductLeak, GateFailed
from bundlers.gates import Phase
from bundlers.gates.builtin import budget
from bundlers.products.product_manifests import parse as parse_manifest
from bundlers.releases import release
from casstore import promotion
from casstore.errors import Conflict, NoSuchObject
from casstore.ledger import release_objects
from casstore.ledger.entries import EntryKind
from casstore.store.attestations import find
from tests.support.lines import FILES, GATES, TOML, Line
from tests.support.worlds import signer

TIME = 1_772_355_600
"""The epoch of `worlds.NOW`."""


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    made = Line.make(tmp_path)
    made.put("1.0.0")
    return made


def nothing_visible(line: Line) -> bool:
    """No release object in the ledger, no output folder, nothing half-made beside it."""
    beside = list(line.out.iterdir()) if line.out.exists() else []
    return not line.state.releases and not beside


def objects_of(line: Line) -> int:
    return len(line.store.digests())


def test_release_makes_everything_visible(line: Line) -> None:
    report = line.ship("1.0.0")
    info = line.state.find_release("1.0.0")
    assert (report.release, report.entry) == (info.digest, info.number)
    out = line.out / "1.0.0"
    assert sorted(path.name for path in out.iterdir()) == [
        "SHA256SUMS",
        "agent-1.0.0.zip",
        "agent-1.0.0.zip.sigstore.json",
        "agent.product-manifest.json",
        "core-1.0.0.tar.gz",
        "core-1.0.0.tar.gz.sigstore.json",
        "core.product-manifest.json",
        "release.json",
        "release.json.sigstore.json",
    ]
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=True)
    made = release_objects.parse((out / "release.json").read_bytes())
    assert made.digest == report.release
    assert made.epoch == report.epoch == TIME
    assert made.config == sha256((line.root / "casstore.toml").read_bytes())
    for name, row in made.builds.items():
        manifest = parse_manifest((out / f"{name}.product-manifest.json").read_bytes())
        assert manifest.digest == row.product_manifest
        assert line.store.read(row.product_manifest) == manifest.to_bytes()
        assert sha256(line.store.read(row.archive.digest)) == row.archive.digest


def test_evidence_is_closed_signed_and_complete(line: Line) -> None:
    report = line.ship("1.0.0")
    made = release_objects.parse(line.store.read(report.release))  # type: ignore[arg-type]
    root = line.state.require_trust_root()
    found = [line.store.read(digest) for digest in made.evidence]
    types = []
    for raw in found:
        claimed = next(f for f in find(line.store, next(iter(_subjects(raw)))) if f.raw == raw)
        verified = verify.verify(
            raw,
            trust_root=root,
            predicate_type=claimed.statement.predicate_type,
            subjects=claimed.statement.digests,
            at=line.now,
            role="builder",
        )
        types.append(verified.statement.predicate_type)
    assert sorted(types) == sorted([slsa_provenance.TYPE] * 3 + [isolation.TYPE] + [test_result.TYPE] * 4), (
        "provenance of the put and of two archives, isolation, four gates"
    )


def _subjects(raw: bytes) -> frozenset[str]:
    from casstore.store.attestations import parse_unverified

    return parse_unverified(raw).digests


def test_archive_provenance_names_trees_and_configuration(line: Line) -> None:
    report = line.ship("1.0.0")
    core = next(archive for archive in report.archives if archive.name.startswith("core"))
    (found,) = find(line.store, core.digest, slsa_provenance.TYPE)
    dependencies = found.statement.predicate["buildDefinition"]["resolvedDependencies"]
    named = {item["name"]: item["digest"]["sha256"] for item in dependencies}
    state = line.state
    assert named["component/core-bin"] == state.components["1.0.0", "core-bin"].removeprefix("sha256:")
    assert set(named) == {"product-manifest", "casstore.toml", "component/core-bin", "component/licences"}


def test_gate_results_speak_of_what_they_saw(line: Line) -> None:
    report = line.ship("1.0.0")
    state = line.state
    trees = {state.components["1.0.0", name] for name in ("core-bin", "agent-bin", "licences")}
    archives = {archive.digest for archive in report.archives}
    seen = {}
    for digest in report.evidence:
        for found in find(line.store, next(iter(_subjects(line.store.read(digest)))), test_result.TYPE):
            seen[found.statement.predicate["configuration"][0]["name"]] = found.statement.digests
    assert seen == {
        "platform": frozenset(trees),
        "secrets": frozenset(trees),
        "seal": frozenset(archives),
        "budget": frozenset(archives),
    }


def test_policy_takes_what_a_release_signs(line: Line) -> None:
    line.ship("1.0.0")
    line.to_prod("1.0.0")
    assert line.state.channel("prod").version == "1.0.0"


def test_same_inputs_give_the_same_bytes_anywhere(line: Line, tmp_path: Path) -> None:
    one = line.ship("1.0.0", workers=1)
    other = Line.make(tmp_path / "elsewhere")
    other.put("1.0.0")
    two = other.ship("1.0.0", workers=4)
    assert [a.to_json() for a in one.archives] == [a.to_json() for a in two.archives]
    first, second = (
        release_objects.parse(made.store.read(r.release))  # type: ignore[arg-type]
        for made, r in ((line, one), (other, two))
    )
    assert replace(first, evidence=(), store="") == replace(second, evidence=(), store="")


def test_source_date_epoch_decides(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a tree's first put; a release asks for it by an option alone."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert line.ship("1.0.0").epoch == TIME
    line.write({"core/etc/core.conf": b"listen = 127.0.0.2\n"})
    line.put("1.0.1")
    times = {name: c.time for name, c in line.ship("1.0.1").archives[1].manifest.components.items()}
    assert times == {"core-bin": TIME + 2, "licences": TIME}, "two seconds after the last tree, which was later"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    line.write({"core/etc/core.conf": b"listen = 127.0.0.3\n"})
    line.put("1.0.2")
    assert line.ship("1.0.2").epoch == 1_800_000_000
    line.put("1.0.3")
    assert line.ship("1.0.3", epoch=1_600_000_000).epoch == 1_600_000_000
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(BadInput, match="SOURCE_DATE_EPOCH"):
        line.put("1.0.4")


def test_again_is_no_op_and_brings_the_folder_back(line: Line) -> None:
    first = line.ship("1.0.0")
    count = line.state.count
    again = line.ship("1.0.0")
    assert again.again and again.release == first.release and line.state.count == count
    line.later(hours=1)
    elsewhere = line.ship("1.0.0", out=str(line.out / "copy"))
    assert elsewhere.again
    same = {p.name: p.read_bytes() for p in (line.out / "copy").iterdir()}
    assert same == {p.name: p.read_bytes() for p in (line.out / "1.0.0").iterdir()}


def test_again_refuses_a_folder_that_was_changed(line: Line) -> None:
    line.ship("1.0.0")
    with (line.out / "1.0.0" / "core-1.0.0.tar.gz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(Conflict, match=r"core-1\.0\.0\.tar\.gz is not this release's"):
        line.ship("1.0.0")


def test_version_is_taken_once(line: Line) -> None:
    line.ship("1.0.0")
    line.write({"core/bin/core": b"other"})
    with pytest.raises(Conflict):
        line.put("1.0.0")
    line.put("1.0.1")
    tree = line.state.components["1.0.1", "core-bin"]
    with pytest.raises(Conflict, match="made of other files"):
        line.ship("1.0.0", components={"core-bin": tree}, out=None)


def test_two_machines_release_at_once(line: Line) -> None:
    """The loser of the race finds its own release there: a no-op."""
    from bundlers.releases import pipeline

    real, meeting = pipeline.commit, threading.Barrier(2, timeout=60)
    reports, errors = [], []

    def together(*args: object, **options: object) -> object:
        meeting.wait()
        return real(*args, **options)  # type: ignore[arg-type]

    def run(number: int) -> None:
        try:
            reports.append(release(line.request("1.0.0", out=str(line.out / str(number)))))
        except BaseException as exc:
            errors.append(exc)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "commit", together)
        threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors
    assert sorted(report.again for report in reports) == [False, True]
    assert reports[0].release == reports[1].release
    assert len(line.state.releases) == 1 and not line.state.void
    assert (line.out / "0" / "release.json").read_bytes() == (line.out / "1" / "release.json").read_bytes()


def test_existing_output_folder_is_refused_before_any_work(line: Line) -> None:
    (line.out / "1.0.0").mkdir(parents=True)
    with pytest.raises(Conflict, match="not overwritten"):
        line.ship("1.0.0")
    assert not line.state.releases


def test_component_that_nobody_put(line: Line) -> None:
    with pytest.raises(NoSuchObject, match=r"agent-bin of version 2\.0\.0 was never put"):
        line.ship("2.0.0")
    assert nothing_visible(line)


def test_component_by_hand_needs_provenance(line: Line) -> None:
    tree = line.store.put_tree(str(line.root / "core")).tree
    with pytest.raises(NoSuchObject, match="no provenance"):
        line.ship("1.0.0", components={"core-bin": tree})
    with pytest.raises(BadInput, match="did you mean 'core-bin'"):
        line.ship("1.0.0", components={"core-bim": tree})
    known = line.state.components["1.0.0", "core-bin"]
    assert line.ship("1.0.0", components={"core-bin": known}).entry is not None


def test_only_a_builder_releases(line: Line) -> None:
    with pytest.raises(PolicyDenied, match="builder"):
        line.ship("1.0.0", by="ann")
    assert nothing_visible(line)


def test_revoked_component_is_refused(line: Line) -> None:
    tree = line.state.components["1.0.0", "core-bin"]
    promotion.revoke(line.store, line.ledger, tree, kind="artifact", reason="bad", signer=signer("olga"), now=line.now)
    with pytest.raises(PolicyDenied, match="revoked"):
        line.ship("1.0.0")
    assert nothing_visible(line)


# gates


def test_failed_gate_leaves_nothing(line: Line) -> None:
    line.configure(TOML + GATES + 'unit = { command = ["false"] }\nsize = { command = ["false"] }\n')
    before = objects_of(line)
    with pytest.raises(GateFailed) as caught:
        line.ship("1.0.0")
    assert [blocker.gate for blocker in caught.value.blockers] == ["size", "unit"], "all failures are told at once"
    assert caught.value.exit_code == 10
    assert nothing_visible(line)
    assert objects_of(line) == before


def test_failed_staged_gate_leaves_nothing(line: Line) -> None:
    line.configure(TOML + "[gates]\nbudget = { archive = 10 }\n")
    before = objects_of(line)
    with pytest.raises(GateFailed, match="the archive has") as caught:
        line.ship("1.0.0")
    assert len(caught.value.blockers) == 2
    assert nothing_visible(line)
    assert objects_of(line) == before


def test_seal_runs_although_nobody_listed_it(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    from bundlers.releases import staging

    line.configure(TOML)
    assert [outcome.name for outcome in line.ship("1.0.0", dry_run=True).outcomes] == ["platform", "seal"]
    real = staging.Quarantine.archive

    def damaged(self: staging.Quarantine, *args: object, **options: object) -> object:
        archive = real(self, *args, **options)  # type: ignore[arg-type]
        data = bytearray(Path(archive.path).read_bytes())
        data[len(data) // 2] ^= 1
        Path(archive.path).write_bytes(data)
        return archive

    monkeypatch.setattr(staging.Quarantine, "archive", damaged)
    with pytest.raises(GateFailed, match="changed after it was written") as caught:
        line.ship("1.0.0")
    assert {blocker.gate for blocker in caught.value.blockers} == {"seal"}
    assert nothing_visible(line)


def test_unknown_and_misconfigured_gates_fail_before_anything_is_packed(line: Line) -> None:
    line.configure(TOML + '[gates]\nsekrets = {}\nbudget = { archive = "big" }\n')
    with pytest.raises(GateFailed) as caught:
        line.ship("1.0.0")
    assert [blocker.gate for blocker in caught.value.blockers] == ["budget", "sekrets"]
    assert nothing_visible(line)


def test_secret_stops_the_release_and_is_not_told(line: Line) -> None:
    secret = b"ghp_" + b"k9Zb3Qm7Tw2Xr5Yv8Lp4Nj6Hd1Fs0GcAeUiO"
    line.write({"core/etc/core.conf": b"token = " + secret + b"\n"})
    line.put("1.0.0")
    with pytest.raises(GateFailed, match="github-token") as caught:
        line.ship("1.0.0", blockers=str(line.root / "blockers.json"))
    assert secret.decode() not in (line.root / "blockers.json").read_text() + str(caught.value)
    (blocker,) = caught.value.blockers
    assert blocker.files == ("core-bin/core/etc/core.conf",)
    assert nothing_visible(line)


def test_gate_looks_at_the_release_before(line: Line) -> None:
    line.configure(TOML + "[gates]\nbudget = { growth = 1.5 }\n")
    line.ship("1.0.0")
    line.write({"core/data": bytes(range(256)) * 4 + b"".join(sha256(bytes([n])).encode() for n in range(200))})
    line.put("1.1.0")
    with pytest.raises(GateFailed, match=r"times, at most 1\.5"):
        line.ship("1.1.0")


def test_budget_reads_what_the_build_took(line: Line) -> None:
    assert budget.PHASE is Phase.STAGED
    toml = TOML.replace(
        'include = ["core/**"]', 'include = ["core/**"]\nbuild = ["python3", "-c", "x = bytes(50_000_000)"]'
    )
    line.configure(toml + '[gates]\nbudget = { build_memory = "20MB", build_seconds = 60 }\n')
    line.put("1.0.0")
    with pytest.raises(GateFailed, match=r"core-bin: its build needed \d+ bytes of memory") as caught:
        line.ship("1.0.0")
    assert len(caught.value.blockers) == 1, "components that were not built have no budget"


# isolation


def test_leak_and_failed_gates_are_told_together_leak_first(line: Line) -> None:
    line.configure(TOML + GATES + 'unit = { command = ["false"] }\n')
    line.write({"core/share/copied.bin": FILES["agent/agent.exe"]})
    line.put("1.0.0")
    with pytest.raises(CrossProductLeak) as caught:
        line.ship("1.0.0", blockers=str(line.root / "blockers.json"))
    assert caught.value.exit_code == 11
    assert [blocker.gate for blocker in caught.value.blockers] == ["isolation", "unit"]
    assert "agent: agent/agent.exe is core: core/share/copied.bin" in str(caught.value)
    assert nothing_visible(line)


def test_gravest_failure_decides_the_exit_code(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    from bundlers.gates.builtin import secrets

    def stale(view: object, settings: object) -> None:
        raise BaselineFailed("the baseline is stale")

    monkeypatch.setattr(secrets, "check", stale)
    line.configure(TOML + GATES + 'unit = { command = ["false"] }\n')
    with pytest.raises(BaselineFailed) as caught:
        line.ship("1.0.0")
    assert (caught.value.exit_code, len(caught.value.blockers)) == (6, 2)


# dry run and blockers


def test_dry_run_does_nothing_and_says_what_it_would(line: Line) -> None:
    before, count = objects_of(line), line.state.count
    report = line.ship("1.0.0", dry_run=True)
    assert report.would is not None and report.dry_run
    assert report.would.entry == count
    assert (report.release, report.entry, report.out) == (None, None, None)
    assert nothing_visible(line)
    assert objects_of(line) == before
    done = line.ship("1.0.0")
    assert [a.to_json() for a in done.archives] == [a.to_json() for a in report.archives]
    assert done.entry == report.would.entry
    assert sorted(p.name for p in (line.out / "1.0.0").iterdir()) == list(report.would.files)
    assert objects_of(line) - before == report.would.objects + 1, "and the tree of the archives"
    json.dumps(report.to_json())


def test_dry_run_of_a_released_version(line: Line) -> None:
    line.ship("1.0.0")
    report = line.ship("1.0.0", dry_run=True, out=str(line.out / "new"))
    assert report.again and report.dry_run and not (line.out / "new").exists()


def test_blockers_are_kept_until_they_are_resolved(line: Line) -> None:
    path = str(line.root / "blockers.json")
    line.configure(TOML + '[gates]\nunit = { command = ["false"] }\n')
    with pytest.raises(GateFailed):
        line.ship("1.0.0", blockers=path)
    (found,) = blockers.parse(Path(path).read_bytes())[1]
    assert (found.gate, found.status) == ("unit", "open")
    line.configure(TOML)
    line.ship("1.0.0", blockers=path)
    (found,) = blockers.parse(Path(path).read_bytes())[1]
    assert (found.gate, found.status) == ("unit", "resolved")


@pytest.mark.parametrize(("name", "code"), [("secrets", 0), ("budget", 0), ("seal", 0), ("small", 10), ("none", 2)])
def test_one_gate_is_tried_without_a_release(line: Line, monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> None:
    from cli.main import invoke

    line.configure(TOML + GATES + 'small = { command = ["sh", "-c", "echo too large; exit 1"], phase = "staged" }\n')
    monkeypatch.chdir(line.root)
    count, objects = line.state.count, objects_of(line)
    assert invoke(["gate", "run", name, "--release-version", "1.0.0"]) == code
    assert (line.state.count, objects_of(line)) == (count, objects) and nothing_visible(line)


def test_another_builder_s_provenance_must_name_the_same_archives(tmp_path: Path, line: Line) -> None:
    """The same inputs elsewhere: the same digests. Another tree: the component that differs is named."""
    other = Line.make(tmp_path / "other", toml=TOML)
    other.put("1.0.0")
    other.ship("1.0.0")

    def handed_over() -> None:
        for path in (other.out / "1.0.0").glob("*.sigstore.json"):
            (line.root / path.name).write_bytes(path.read_bytes())

    def told() -> str:
        with pytest.raises(GateFailed) as caught:
            line.ship("1.0.0")
        return " | ".join(blocker.message for blocker in caught.value.blockers)

    (line.root / "theirs.pub").write_bytes(signer("ci").public_pem or b"")
    line.configure(TOML + '[gates.reproducible]\nagainst = ["*.sigstore.json"]\nkey = "theirs.pub"\n')
    assert "no file is named" in told()
    handed_over()
    assert line.ship("1.0.0").entry is not None
    (other.root / "core/bin/core").write_bytes(b"other")
    other.put("1.1.0")
    other.ship("1.1.0")
    line.put("1.1.0")
    for path in (other.out / "1.1.0").glob("*.sigstore.json"):
        (line.root / path.name).write_bytes(path.read_bytes())
    with pytest.raises(GateFailed) as caught:
        line.ship("1.1.0")
    (message,) = [blocker.message for blocker in caught.value.blockers]
    assert message.startswith("core-1.1.0.tar.gz: the other builder has sha256:")
    assert "component/core-bin is sha256:" in message and "component/licences" not in message
    (line.root / "theirs.pub").write_bytes(signer("ann").public_pem or b"")
    with pytest.raises(GateFailed, match="against: "):
        line.ship("1.1.0")


def test_a_failed_gate_leaves_a_signed_result_that_vouches_for_nothing(line: Line) -> None:
    """One per failed gate, about what it saw; not for those that passed, and in no ledger."""
    path = str(line.root / "blockers.json")
    line.configure(TOML + '[gates]\nunit = { command = ["false"] }\nfine = { command = ["true"] }\n')
    before = line.state.count
    with pytest.raises(GateFailed):
        line.ship("1.0.0", blockers=path)
    assert sorted(p.name for p in line.root.glob("blockers*")) == ["blockers.json", "blockers.unit.sigstore.json"]
    trees = [digest for (version, _), digest in line.state.components.items() if version == "1.0.0"]
    raw = (line.root / "blockers.unit.sigstore.json").read_bytes()
    root = line.state.require_trust_root()
    found = verify.verify(raw, trust_root=root, predicate_type=test_result.TYPE, subjects=trees, at=line.now)
    claim = test_result.parse(found.statement.predicate)
    assert (claim.result, claim.failed, claim.passed) == ("FAILED", ("unit",), ())
    assert line.state.count == before and nothing_visible(line)


def test_changed_configuration_is_noticed(line: Line) -> None:
    request = line.request("1.0.0")
    line.configure(TOML + "# changed\n")
    with pytest.raises(Conflict, match="changed while the release ran"):
        release(request)
    assert nothing_visible(line)


def test_killed_runs_leave_no_quarantine_for_ever(line: Line) -> None:
    from bundlers.releases.staging import Quarantine

    left = line.out / ".1.0.0.abc.partial"
    left.mkdir(parents=True)
    (left / "core-1.0.0.tar.gz").write_bytes(b"half")
    with Quarantine(str(line.out / "1.0.0")) as at_work:
        assert not left.exists()
        line.ship("1.0.0")
        assert Path(at_work.folder).exists(), "somebody works there"
    assert [path.name for path in line.out.iterdir()] == ["1.0.0"]


def test_quarantine_that_was_swept_before_its_lock_is_made_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    from bundlers.releases import staging

    real, swept = staging.locks.take, []

    def late(lock: int, **how: bool) -> None:
        if not swept:
            swept.extend(line.out.iterdir())
            swept[0].rmdir()
        real(lock, **how)

    monkeypatch.setattr(staging.locks, "take", late)
    assert line.ship("1.0.0").entry is not None
    assert swept and [path.name for path in line.out.iterdir()] == ["1.0.0"]


def test_every_entry_holds(line: Line) -> None:
    line.ship("1.0.0")
    assert not line.state.void
    assert [entry.kind for entry in line.ledger.entries(0)] == [
        EntryKind.GENESIS,
        EntryKind.COMPONENT,
        EntryKind.RELEASE,
    ]
