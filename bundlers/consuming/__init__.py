"""The consumer's side: read what was published, verify all of it, remember what was seen.

In: a URL, folder or kit, what the user pins, the time. Out: a verified channel; or one error that
says what does not hold. Nothing is remembered before all of it is verified. Reads publications as `publishing` writes
them; called by `verify`, `export`, `import` and `installing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attest.core.public import public

if TYPE_CHECKING:
    from bundlers.consuming.service import TrustSettings, VerifyReport, verify

__all__ = ["TrustSettings", "VerifyReport", "verify"]

__getattr__ = public(
    __name__,
    TrustSettings="bundlers.consuming.service",
    VerifyReport="bundlers.consuming.service",
    verify="bundlers.consuming.service",
)
