"""The parsers of stored and of foreign bytes under atheris, a coverage-guided fuzzer: `make fuzz`, or

    python tests/fuzz/fuzz_parsers.py ledger-entry 60
    python tests/fuzz/fuzz_parsers.py --all 900         # so many seconds shared out to all parsers, each told in a line

runs one parser for so many seconds, begins from the golden files or the seeds, and ends with the input that broke it,
if any: an error that it may not raise, a law that does not hold, ten seconds for one input, or 200 MB of memory.
`--list` tells the names.
"""

from __future__ import annotations

import pathlib
import re
import resource
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__)
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1] / "support")]
_MEMORY = 200_000_000
_LIMITS = ["-timeout=10", "-rss_limit_mb=4096", "-max_len=100000"]


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def parsers() -> dict[str, object]:
    """All of them by name."""
    from tests.support.foreign_bytes import FOREIGN
    from tests.support.stored_bytes import PARSERS

    return {**PARSERS, **FOREIGN}


def fuzz(name: str, seconds: str) -> None:
    """Fuzz one parser; does not return."""
    import atheris

    with atheris.instrument_imports(include=["attest", "casstore", "bundlers"]):
        parser = parsers()[name]  # nothing of ours may be imported before it watches

    def one(data: bytes) -> None:
        before = _peak()
        parser.run(data)
        if _peak() - before > _MEMORY:  # the fuzzer's own memory grows too, little by little
            raise MemoryError(f"{(_peak() - before) >> 20} MiB for {len(data)} bytes")

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(parser.seeds()):
            (pathlib.Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", *_LIMITS, "-print_final_stats=1", corpus], one)
        atheris.Fuzz()


def each(seconds: int) -> int:
    """All parsers one after the other; what was seen of each. The number of those that broke."""
    names, broken = list(parsers()), 0
    for name in names:
        command = [sys.executable, str(HERE), name, str(max(1, seconds // len(names)))]
        with tempfile.TemporaryDirectory() as folder:
            ended = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
            found = sorted(pathlib.Path(folder).iterdir())
            for path in found:
                path.rename(HERE.parent / f"found-{name}-{path.name}")
        figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", ended.stderr))
        runs, peak = figures.get("number_of_executed_units", "?"), figures.get("peak_rss_mb", "?")
        said = "held" if not ended.returncode else f"BROKEN\n{ended.stderr[-3000:]}"
        sys.stdout.write(f"{name}: {runs} runs, {peak} MiB, {said}\n")
        sys.stdout.flush()
        broken += bool(ended.returncode)
    return broken


if __name__ == "__main__":
    if sys.argv[1] == "--list":
        sys.stdout.write("\n".join(parsers()) + "\n")
    elif sys.argv[1] == "--all":
        sys.exit(each(int(sys.argv[2])))
    else:
        fuzz(*sys.argv[1:3])
