"""What one look at each file found, kept beside the index so that nobody looks twice.

In: blobs by digest, settings. Out: what is packed inside, fingerprints and marks; tokens of a whole product; streams
of members. Called by `looks`, `copies`, what explains (`explained`), and `whence` of what is packed.
"""
