"""Append-only logs as pure functions: Merkle proofs, tiles, checkpoints (C2SP), entries of Rekor.

In: leaves, hashes, a signed note. Out: roots, proofs, verified sizes; VerificationError where they differ.
Called by `sigstore` (its logs) and by the ledger of casstore; knows neither store nor clock.
"""
