"""sigstore's files and instances: the bundle, pinned roots, keyless identities, time stamps, inclusion proofs.

In: bundle bytes and a pinned trusted root. Out: who signed and when that is proven, or VerificationError.
The only room, beside `signers`, that may import the sigstore library. Called by `trust` and all above.
"""
