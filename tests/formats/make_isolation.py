"""Makes the golden files of acceptances of the isolation check: python tests/formats/make_isolation.py"""

from __future__ import annotations

from pathlib import Path

from attest.digests import sha256
from bundlers.isolation.explained.acceptances import Acceptance

GOLDEN = Path(__file__).parent / "golden" / "isolation-acceptance"
STRETCHES = sorted((len(data), sha256(data), data) for data in (b"first stretch " * 60, b"another one " * 50))


def accepted() -> Acceptance:
    """One of each."""
    return Acceptance(
        ("agent", "core"),
        ((sha256(b"a whole file"), 12),),
        ("build-id:3132333435363738",),
        tuple((length, digest) for length, digest, _ in STRETCHES),
        whole=True,
    )


def files() -> dict[str, bytes]:
    """Name -> bytes."""
    return {"accept.json": accepted().to_bytes(), "stretches": b"".join(data for _, _, data in STRETCHES)}


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        (GOLDEN / name).write_bytes(data)


if __name__ == "__main__":
    main()
