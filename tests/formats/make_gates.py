"""Makes the golden files of what gates write: python tests/formats/make_gates.py"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from attest import canonical, digests
from bundlers import blockers
from bundlers.blockers import Blocker
from bundlers.gates import GateResult, Outcome, Phase

GOLDEN = Path(__file__).parent / "golden"

LARGE = Blocker(
    "budget",
    "core-1.4.0.tar.gz: the archive has 301000000 bytes, the budget is 200000000",
    ("core-1.4.0.tar.gz",),
    "make it smaller",
)
LEAK = Blocker(
    "isolation",
    f"agent: bin/agent is core: lib/blob.bin ({digests.sha256(b'agent')}, 5 bytes)",
    ("agent/bin/agent", "core/lib/blob.bin"),
)
ODD = Blocker("unit-tests", "'prüfe „alles\u201c' ended with exit code 1", severity="warning")


def outcome(result: GateResult) -> bytes:
    made = Outcome("budget", Phase.STAGED, digests.sha256(canonical.dumps({"files": 5000})), result)
    return canonical.dumps(made.claim().to_json())


def files() -> dict[str, bytes]:
    return {
        "blocker/none.json": blockers.to_bytes("1.4.0", []),
        "blocker/open.json": blockers.to_bytes("1.4.0", [LARGE, LEAK, ODD]),
        "blocker/resolved.json": blockers.to_bytes("1.4.0", [replace(LARGE, status="resolved"), LEAK]),
        "test-result/passed.json": outcome(GateResult(True)),
        "test-result/warned.json": outcome(GateResult(True, warnings=("allow: nothing has it any more",))),
        "test-result/failed.json": outcome(GateResult(False, ("core.zip: 6000 files, the budget is 5000",))),
    }


def main() -> None:
    for name, data in files().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sys.stderr.write(f"{path}\n")


if __name__ == "__main__":
    main()
