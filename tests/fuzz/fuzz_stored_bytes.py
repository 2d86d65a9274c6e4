"""The parsers of stored bytes under atheris, a coverage-guided fuzzer: `make fuzz`, or

    python tests/fuzz/fuzz_stored_bytes.py ledger-entry 60

runs one parser for so many seconds, begins from the golden files, and ends with the input that broke it, if any.
`--list` tells the names.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))


def fuzz(name: str, seconds: str) -> None:
    """Fuzz one parser; does not return."""
    import atheris

    with atheris.instrument_imports(include=["attest", "casstore", "bundlers"]):
        from tests.support.stored_bytes import PARSERS  # nothing of ours may be imported before it watches
    parser = PARSERS[name]

    def one(data: bytes) -> None:
        parser.run(data)

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(parser.seeds()):
            (pathlib.Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=100000", "-verbosity=0", corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1] == "--list":
        from tests.support.stored_bytes import PARSERS

        sys.stdout.write("\n".join(PARSERS) + "\n")
    else:
        fuzz(*sys.argv[1:3])
