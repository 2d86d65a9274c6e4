"""Takes workspaces in: walk, read and hash in workers, pack what is new, make trees.

report = ingest.Intake(root, catalog, packs, level=1, options=IngestOptions(), progress=progress).put(folders, all)

`ingest` is the whole act, `worker` and `process` what its workers run. Nothing of the act is loaded here: a
worker needs `worker` alone.
"""

from casstore.ingest.reports import IngestOptions, IngestReport

__all__ = ["IngestOptions", "IngestReport"]
