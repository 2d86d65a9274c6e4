"""What one product is made of: ProductManifest, platform, references, checksums, and the reader of just its digests.

In: trees of components and casstore.toml. Out: a ProductManifest, and a reader that opens no other digest.
Called by formats, isolation, gates, releases and audit.
"""
