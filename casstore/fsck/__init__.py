"""Checks every stored byte, names what is damaged and who needs it, and mends it from another store.

In: a store, and for mending a second one. Out: a report: damaged, mended, healed, strangers. Called by `fsck`, and of a
publication by `bundlers.publishing.published_check` for its own files.

report = fsck(store)
report.damaged        # () when all is well
"""

from casstore.fsck.check import fsck
from casstore.fsck.mending import mend_config
from casstore.fsck.part import check_pack
from casstore.fsck.repair import repair
from casstore.fsck.report import Damage, FsckReport, Mended
from casstore.fsck.table import check_table

__all__ = ["Damage", "FsckReport", "Mended", "check_pack", "check_table", "fsck", "mend_config", "repair"]
