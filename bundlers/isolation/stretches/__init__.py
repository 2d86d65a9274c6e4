"""Equal bytes in two files: where they may be, where they are, how much they say, how grave they are.

In: fingerprints, streams, offsets. Out: places, spans, verdicts on sizes. Called by `copies`, `reports` and
`explained`. It knows no product, no store and no reason.
"""
