"""`publish`, `verify`, `install`, `update`, `uninstall`, `export`, `import`: from one machine to another.

In: a channel and a destination (the publisher's side); a URL, a kit or an archive, and what pins its trust (the
consumer's). Out: a static repository or a kit; verdicts, installed products, receipts, taken-in attestations. A
consumer needs no store and no casstore.toml. Called by `cli.main` alone.
"""
