"""The tutorial, typed as it stands on the page: ten commands from an empty folder to an installed product."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.typed_pages import block_lines

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guide" / "tutorial.md").read_text(encoding="utf-8")


def test_the_page_typed_exactly(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "empty").mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
    }
    typed = "".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=typed,
        cwd=tmp_path / "empty",
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nhello\n" in done.stdout
    assert (tmp_path / "empty" / "hello" / "installed" / "current" / "hello").stat().st_mode & 0o111
    assert "prod" in done.stdout.splitlines()[-1] or "1.0.0" in done.stdout.splitlines()[-1]


def test_there_are_ten_commands_up_to_the_installed_product() -> None:
    lines = block_lines(PAGE)
    until = lines.index("installed/current/hello")
    assert sum(line.startswith("casstore ") for line in lines[:until]) == 10
    numbers = [int(found[1]) for line in lines if (found := re.search(r"# (\d+)", line))]
    assert numbers == list(range(1, 11))
