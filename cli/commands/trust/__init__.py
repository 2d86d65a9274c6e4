"""`keys` with its ceremony, `ledger` with its witnesses: who may say what, and what was said in which order.

In: keys, names, roles, thresholds, payloads that owners sign one after the other. Out: key files, the next trust
root, the ledger's lines, proofs and checkpoints. `ceremony_values` turns what people type for a root into values.
Called by `cli.main` alone.
"""
