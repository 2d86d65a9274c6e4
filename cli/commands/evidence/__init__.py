"""`attest`: sign, verify, show, export; bills of materials; sigstore's bundles of anybody.

In: files, their digests, predicates, foreign bundles, what they must be signed by. Out: attestations, documents,
one verdict for each signature. `sigstore_bundles` follows sigstore's conformance protocol and needs no store.
Called by `cli.main` alone.
"""
