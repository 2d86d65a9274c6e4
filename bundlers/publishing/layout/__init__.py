"""Files of a publication and of kits as bytes, names and places: records, TUF metadata, lists, tars, destinations.

In: values. Out: bytes and back, and where they lie. Called by `writing`, `proofs`, and by consumers that read them.
"""
