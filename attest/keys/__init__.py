"""Who signs: public and private keys as values, and identities (a key, or issuer and subject).

In: PEM bytes, or a claim of a certificate. Out: a key with its identity `key:sha256:<SPKI>`, checked.
Nothing is read from a disk here: `signers` opens what a URI names. Called by statements and all above.
"""
