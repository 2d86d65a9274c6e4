"""What one foreign file may cost: time by the clock, memory, bytes on disk.

Budget(seconds=30).deadline(size)      # seconds for a file of so many bytes
"""

from __future__ import annotations

from attest.core.values import dataclass

MIB = 1 << 20
SECONDS = 30
MEMORY = 512 * MIB


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits for one file; further ones (members, depth, unpacked bytes) are the parser's own."""

    seconds: int = SECONDS
    """By the clock; a file of n MiB has n seconds more, for an honest large one takes longer too."""
    memory: int = MEMORY
    """Bytes beyond what the cell needs by itself."""
    disk: int = 8192 * MIB
    """Bytes unpacked at one time, in a file without a name."""

    def deadline(self, size: int) -> int:
        """Seconds for a file of so many bytes."""
        return self.seconds + size // MIB
