"""Look at a destination as a consumer does, now: what it shows, and until when.

Promises: the consumer's own code, with nothing remembered but the ledger's first trust root; nothing is changed. A
refusal is a result here, with the consumer's own words and exit code. Leaves to others: every file (`published_check`).

    seen = look("cdn", "https://cdn.example/releases", "prod", first=root_1, at=now, network=guard)
    seen.exit_code, seen.told
"""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError
from bundlers.consuming import service
from bundlers.consuming.service import TrustSettings
from bundlers.consuming.withdrawn import Withdrawn
from casstore.network.network import NetworkGuard

VALID, WITHDRAWN, REFUSED = "valid", "withdrawn", "refused"
SOON = timedelta(days=7)
"""Who publishes by cron has renewed it long before."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a consumer would be told now."""

    destination: str
    url: str
    channel: str
    verdict: str
    version: str | None
    message: str
    valid_until: datetime | None = None
    exit_code: int = 0

    @property
    def told(self) -> str:
        """In a line."""
        until = f", until {times.format(self.valid_until)}" if self.valid_until else ""
        return f"{self.message}{until}"

    def ends_soon(self, now: datetime) -> bool:
        """Whether consumers are refused within days unless somebody publishes."""
        return self.valid_until is not None and self.valid_until - now < SOON

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "destination": self.destination,
            "url": self.url,
            "channel": self.channel,
            "verdict": self.verdict,
            "version": self.version,
            "message": self.message,
            "validUntil": times.format(self.valid_until) if self.valid_until else None,
        }


def look(
    destination: str,
    url: str,
    channel: str,
    *,
    first: Digest,
    at: datetime,
    network: NetworkGuard | None,
    sigstore_root: bytes | None = None,
    archives: bool = False,
) -> Look:
    """`archives` reads them too."""
    about = (destination, url, channel)
    with tempfile.TemporaryDirectory(prefix="casstore-look-") as folder:
        trust = TrustSettings(folder, first, None, sigstore_root)
        try:
            found = service.verify(url, channel, trust=trust, at=at, network=network, read_archives=archives).verified
        except Withdrawn as exc:
            return Look(*about, WITHDRAWN, None, exc.message)
        except CasstoreError as exc:
            return Look(*about, REFUSED, None, f"consumers are refused: {exc.message}", exit_code=exc.exit_code)
        shown = f"consumers are shown {found.channel.version}"
        if (canary := found.channel.canary) is not None:
            shown += f", {canary.share}% of them {canary.channel.version}"
        return Look(*about, VALID, found.channel.version, shown, found.valid_until)
