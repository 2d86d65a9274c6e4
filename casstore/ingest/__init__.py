"""Takes workspaces in: walk, read and hash in workers, pack what is new, make trees.

In: a folder, what is left out of it, how many workers. Out: packs, and the digest of a tree. Called by
`casstore.store`; `bundlers.building` and `put` choose what goes in.

report = ingest.Intake(root, catalog, packs, level=1, options=IngestOptions(), progress=progress).put(folders, all)

`ingest` is the whole act, `worker` and `process` what its workers run. Nothing of the act is loaded here: a
worker needs `worker` alone.
"""

from casstore.ingest.reports import IngestOptions, IngestReport

__all__ = ["IngestOptions", "IngestReport"]
