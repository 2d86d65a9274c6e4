"""The release line: from components in the ledger to archives that are visible, or to nothing.

In: a version, its components in the ledger, casstore.toml, a signer, the time. Out: a release and its archives, or
Blocked. Called by `run`, `release`, `rebuild`, `diff`, `du`, `approve` (reviews) and `config check`.

    gates on inputs, isolation -> archives in quarantine -> gates on them -> statements ->
    SHA256SUMS -> one put -> the `release` entry -> the output folder, by one rename

Only the ledger entry makes a release visible and takes its version. Whatever fails or is killed
before it leaves nothing but unnamed objects, and the same command begins again. After it, the
same command brings the output folder back from the store. The same components and epoch give the
same archives, byte for byte, and the same release object but for the evidence.

    report = release(ReleaseRequest(store, ledger, config, "1.4.0", signer, now, out="dist/1.4.0"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attest.core.public import public

if TYPE_CHECKING:
    from bundlers.releases.pipeline import release
    from bundlers.releases.reports import ReleaseReport, ReleaseRequest

__all__ = ["ReleaseReport", "ReleaseRequest", "release"]

__getattr__ = public(
    __name__,
    ReleaseReport="bundlers.releases.reports",
    ReleaseRequest="bundlers.releases.reports",
    release="bundlers.releases.pipeline",
)
