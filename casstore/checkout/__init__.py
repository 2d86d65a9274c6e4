"""Writes trees out: whole and verified at the target, or nothing there.

In: the digest of a tree and a free path. Out: its files there, or an error and nothing. Called by `casstore.store`
alone.

report = checkout.Checkout(reader, catalog, packs, progress).run(tree_digest, b"/srv/out")

`checkout` is the whole act, `plan` what has to be made, `writing` one region of it, `process` its
workers. Nothing is loaded here: a worker needs `writing` alone.
"""
