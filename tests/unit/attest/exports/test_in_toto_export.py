"""The in-toto export, judged by the real in-toto-verify."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from moves import signer

from attest.digests import sha256
from attest.exports import in_toto_export
from attest.exports.in_toto_export import ProductStep, ReleaseSteps
from casstore.machine import clock

ARCHIVES = {"core-1.4.0.tar.gz": b"core archive", "agent-1.4.0.zip": b"agent archive"}
FILES = {"core-bin": {"bin/core": b"core", "lib/x.so": b"x"}, "agent-bin": {"agent.exe": b"agent"}}
STEPS = ReleaseSteps(
    components={name: {path: sha256(data) for path, data in files.items()} for name, files in FILES.items()},
    products={
        "core": ProductStep("core-1.4.0.tar.gz", sha256(b"core archive"), ("core-bin",)),
        "agent": ProductStep("agent-1.4.0.zip", sha256(b"agent archive"), ("agent-bin",)),
    },
)
OWNER, CI = signer("olga"), signer("ci")
TOOL = Path(sys.executable).with_name("in-toto-verify")

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="in-toto-verify is not installed")


def laid_out(folder: Path, steps: ReleaseSteps = STEPS, archives: Mapping[str, bytes] = ARCHIVES) -> Path:
    expires = clock.now() + timedelta(days=30)
    for name, data in in_toto_export.export(steps, owner=OWNER, functionary=CI, expires=expires).items():
        (folder / name).write_bytes(data)
    for name, data in archives.items():
        (folder / name).write_bytes(data)
    (folder / "owner.pub").write_bytes(OWNER.public_pem or b"")
    return folder


def verified(folder: Path) -> subprocess.CompletedProcess[str]:
    command = in_toto_export.COMMAND.format(layout="root.layout", links=".").split()
    arguments = ["owner.pub" if word == "KEY.pub" else word for word in command[1:]]
    return subprocess.run([str(TOOL), *arguments], cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_whole_release_is_accepted(tmp_path: Path) -> None:
    done = verified(laid_out(tmp_path))
    assert done.returncode == 0, done.stderr


def test_an_archive_with_a_changed_byte_is_refused(tmp_path: Path) -> None:
    done = verified(laid_out(tmp_path, archives={**ARCHIVES, "core-1.4.0.tar.gz": b"core archivE"}))
    assert done.returncode == 1
    assert "core-1.4.0.tar.gz" in done.stderr


def test_a_bundle_step_with_a_file_of_another_product_is_refused(tmp_path: Path) -> None:
    """The layout lets core take only its own component; the link says that it took the agent too."""
    laid_out(tmp_path)
    leaking = replace(STEPS.products["core"], components=("core-bin", "agent-bin"))
    steps = replace(STEPS, products={**STEPS.products, "core": leaking})
    files = in_toto_export.export(steps, owner=OWNER, functionary=CI, expires=clock.now() + timedelta(days=1))
    link = next(name for name in files if name.startswith("bundle-core."))
    (tmp_path / link).write_bytes(files[link])
    done = verified(tmp_path)
    assert done.returncode == 1
    assert "agent.exe" in done.stderr


def test_a_link_that_names_other_bytes_than_were_put_is_refused(tmp_path: Path) -> None:
    laid_out(tmp_path)
    other = {**STEPS.components, "core-bin": {**STEPS.components["core-bin"], "bin/core": sha256(b"other")}}
    files = in_toto_export.export(
        replace(STEPS, components=other), owner=OWNER, functionary=CI, expires=clock.now() + timedelta(days=1)
    )
    link = next(name for name in files if name.startswith("bundle-core."))
    (tmp_path / link).write_bytes(files[link])
    assert verified(tmp_path).returncode == 1


def test_a_link_by_another_functionary_and_a_missing_link_are_refused(tmp_path: Path) -> None:
    laid_out(tmp_path)
    link = next(tmp_path.glob("bundle-core.*.link"))
    kept = link.read_bytes()
    stranger = in_toto_export.export(
        STEPS, owner=OWNER, functionary=signer("ann"), expires=clock.now() + timedelta(days=1)
    )
    link.write_bytes(stranger[next(name for name in stranger if name.startswith("bundle-core."))])
    assert verified(tmp_path).returncode == 1
    link.write_bytes(kept)
    shutil.move(link, tmp_path / "elsewhere")
    assert verified(tmp_path).returncode == 1


def test_another_owner_key_is_refused(tmp_path: Path) -> None:
    laid_out(tmp_path)
    (tmp_path / "owner.pub").write_bytes(signer("ann").public_pem or b"")
    assert verified(tmp_path).returncode == 1


def test_an_expired_layout_is_refused(tmp_path: Path) -> None:
    laid_out(tmp_path)
    expired = in_toto_export.export(STEPS, owner=OWNER, functionary=CI, expires=clock.now() - timedelta(days=1))
    (tmp_path / "root.layout").write_bytes(expired["root.layout"])
    assert verified(tmp_path).returncode == 1
