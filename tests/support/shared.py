"""A channel that brings a release to a share of its consumers first: 1.0.0 is in prod, 1.1.0 comes to it.

world = SharedWorld.make(str(tmp_path / "store"))
world.begin()
world.step("1.1.0", 5)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from attest.core import shares
from attest.digests import Digest
from attest.trust.policies import ShareStep
from bundlers.consuming import install_ids
from casstore import promotion
from tests.support.published import PublishedWorld
from tests.support.worlds import CHANNELS

DAY = 86400
STEPS = (ShareStep(5, DAY), ShareStep(50, DAY))
LINE = {**CHANNELS, "prod": replace(CHANNELS["prod"], approvals=1, steps=STEPS)}


@dataclass
class SharedWorld(PublishedWorld):
    """Its prod has steps."""

    @classmethod
    def make(cls, url: str, **changes: Any) -> Self:
        """A new store whose ledger begins with a trust root."""
        return super().make(url, **{"channels": LINE, **changes})

    def begin(self) -> None:
        """1.0.0 in prod, 1.1.0 in staging."""
        self.ship("1.0.0")
        self.ship("1.1.0", content=b"x")
        self.to_staging("1.0.0")
        self.step("1.0.0", None)
        self.to_staging("1.1.0")

    def step(self, version: str, share: int | None) -> promotion.MoveReport:
        """Approved and made."""
        self.approve(version, "prod", "ann")
        return self.promote(version, "prod", share=share)

    @property
    def began(self) -> Digest:
        """The entry of the first share of what comes."""
        return self.state.channel("prod").canary_moves[0].entry

    def drawn(self, least: int, below: int) -> bytes:
        """An install id that shares from `below` percent on reach, and those up to `least` do not."""
        while True:
            data = install_ids.made()
            drawn = install_ids.parse(data)
            if shares.reaches(below, drawn, self.began) and not (least and shares.reaches(least, drawn, self.began)):
                return data
