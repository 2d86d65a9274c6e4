"""Other programs: no shell, no environment by accident, no survivor, nothing unbounded."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from attest.errors import BadInput
from casstore import runner
from casstore.errors import NoSuchObject


def python(code: str, **options: object) -> runner.CommandResult:
    return runner.run([sys.executable, "-c", code], cwd="/", **options)  # type: ignore[arg-type]


def test_output_exit_code_and_measures() -> None:
    result = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (result.stdout, result.stderr, result.exit_code, result.ok) == (b"out\n", b"err\n", 3, False)
    assert 0 < result.cpu_seconds < 60 and result.seconds > 0
    assert 1_000_000 < result.max_rss < 4_000_000_000


def test_no_shell(tmp_path: Path) -> None:
    result = runner.run(["echo", "$HOME; touch x"], cwd=str(tmp_path))
    assert result.stdout == b"$HOME; touch x\n"
    assert os.listdir(tmp_path) == []
    with pytest.raises(BadInput, match="list of words"):
        runner.run("echo hello", cwd=str(tmp_path))
    with pytest.raises(BadInput):
        runner.run(["echo", "a\0b"], cwd=str(tmp_path))


def test_the_environment_is_an_allowlist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSTORE_PASSWORD", "secret")
    monkeypatch.setenv("MINE", "yes")
    shown = python("import os; print(dict(os.environ))", env_allow=("PATH", "MINE"), env={"ADDED": "1"}).stdout
    assert b"secret" not in shown and b"'MINE': 'yes'" in shown and b"'ADDED': '1'" in shown


def test_standard_input_is_closed() -> None:
    assert python("import sys; print(len(sys.stdin.read()))").stdout == b"0\n"


def test_late_programs_die_with_their_children(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    child = f"import time; time.sleep(1.5); open({str(mark)!r}, 'w')"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    began = time.monotonic()
    result = python(code, timeout=0.5)
    assert result.timed_out and not result.ok and time.monotonic() - began < 10
    time.sleep(2)
    assert not mark.exists()


def test_output_is_bounded() -> None:
    result = python("import sys; sys.stdout.write('x' * 5_000_000)", max_output=1000)
    assert len(result.stdout) == 1000 and result.truncated and result.exit_code == 0


def test_memory_is_bounded() -> None:
    assert python("x = b'x' * 2_000_000_000", max_memory=1_000_000_000).exit_code != 0


def test_what_cannot_run(tmp_path: Path) -> None:
    with pytest.raises(NoSuchObject, match="no such program"):
        runner.run(["no-such-program-here"], cwd=str(tmp_path))
    with pytest.raises(BadInput, match="no folder"):
        runner.run(["true"], cwd=str(tmp_path / "nowhere"))


def test_a_signal_is_128_and_more() -> None:
    assert python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)").exit_code == 143
