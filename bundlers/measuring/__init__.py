"""What a product costs: measured as a consumer would have it, with a command, on this machine, and signed.

In: a store, a release, a command. Out: an attestation about the archive that was unpacked, in the ledger.
Called by `baseline capture`.
"""
