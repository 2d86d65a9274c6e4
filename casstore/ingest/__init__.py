"""Takes workspaces in: walk, read and hash in workers, pack what is new, make trees.

outcome = take_in(source, catalog, packs, ...)
"""

from casstore.ingest.ingest import IngestOptions, IngestReport, Intake
from casstore.ingest.worker import Done

__all__ = ["Done", "IngestOptions", "IngestReport", "Intake"]
