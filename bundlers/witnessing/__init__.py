"""A witness of a ledger: follows what is published, computes it anew, signs what only goes on from before.

In: the URLs of publications and peers, a memory of its own, a key. Out: a line below a checkpoint, or evidence.
Called by `casstore ledger witness`.
"""
