"""A publication as somebody with all TUF keys could sign it: its files changed, and what a consumer says to that.

forged = Forged.of(str(tmp_path / "public"))
forged.edit("channels/prod.json", lambda value: value.update(version="2.0.0"))
refuse(world, forged, "something else than the ledger")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from attest import canonical
from attest.errors import FormatError, VerificationError
from bundlers.consuming.state import Pins
from bundlers.consuming.verification import verify_channel
from bundlers.consuming.verified import VerifiedChannel
from bundlers.publishing.layout import tuf_repository
from casstore.errors import NoSuchObject
from tests.support.published import PublishedWorld


@dataclass
class Forged:
    """The targets of a published folder, as a publisher with all TUF keys could sign them."""

    targets: dict[str, bytes]
    plains: dict[str, bytes] = field(default_factory=dict)

    @staticmethod
    def of(folder: str) -> Forged:
        top = Path(folder)
        number = tuf_repository.version_of((top / "metadata/timestamp.json").read_bytes())
        infos = tuf_repository.targets_of((top / f"metadata/{number}.targets.json").read_bytes())
        targets = {
            path: (top / "targets" / tuf_repository.target_name(path, info.digest)).read_bytes()
            for path, info in infos.items()
        }
        plains = {
            str(path.relative_to(top)): path.read_bytes() for path in (top / "ledger").rglob("*") if path.is_file()
        }
        return Forged(targets, plains)

    def read(self, path: str) -> bytes:
        if path not in self.targets:
            raise NoSuchObject(path)
        return self.targets[path]

    def pieces(self, path: str) -> Iterator[bytes]:
        data = self.read(path)
        yield from (data[:100], data[100:])

    def plain(self, path: str, *, max_bytes: int = 0) -> bytes:
        if path not in self.plains:
            raise NoSuchObject(path)
        return self.plains[path]

    def edit(self, path: str, change: Callable[[dict], None]) -> None:
        value = canonical.loads(self.targets[path], what=path)
        change(value)
        self.targets[path] = canonical.dumps(value)

    def judged(self, world: PublishedWorld, channel: str = "prod", pins: Pins | None = None) -> VerifiedChannel:
        return verify_channel(self, channel, at=world.now, pins_of=lambda *_: pins)


def refuse(world: PublishedWorld, forged: Forged, match: str, channel: str = "prod", pins: Pins | None = None) -> None:
    with pytest.raises((VerificationError, FormatError, NoSuchObject), match=match):
        forged.judged(world, channel, pins)
