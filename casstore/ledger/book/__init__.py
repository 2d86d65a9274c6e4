"""A ledger as it lies in a storage: append and read, what this machine keeps of its entries, how far it was seen.

In: a storage, entries. Out: entries in their order, each checked against the one before. Called by folding, sealing,
checkpoints and `commit`. What entries mean is not known here.
"""
