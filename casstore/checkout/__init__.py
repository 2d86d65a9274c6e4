"""Writes trees out: whole and verified at the target, or nothing there.

report = checkout.Checkout(reader, catalog, packs, progress).run(tree_digest, b"/srv/out")

`checkout` is the whole act, `plan` what has to be made, `writing` one region of it, `process` its
workers. Nothing is loaded here: a worker needs `writing` alone.
"""
