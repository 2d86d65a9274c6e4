"""Collection of garbage: what is needed and why, and giving up the rest in two steps (docs/formats/gc.md).

In: a store, settings, the time, a signer, and whether it is meant. Out: a report of what is needed, condemned and
deleted. Called by `gc` and `pin` alone.

`collect` is the one entry point for a run, `why` tells why one object is kept, `pins` keeps
what nothing else needs. No step before the last one removes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attest.core.public import public

if TYPE_CHECKING:
    from casstore.gc.collecting import Settings, collect
    from casstore.gc.reports import CollectReport, WhyReport
    from casstore.gc.telling import why

__all__ = ["CollectReport", "Settings", "WhyReport", "collect", "why"]

__getattr__ = public(
    __name__,
    CollectReport="casstore.gc.reports",
    Settings="casstore.gc.collecting",
    WhyReport="casstore.gc.reports",
    collect="casstore.gc.collecting",
    why="casstore.gc.telling",
)
