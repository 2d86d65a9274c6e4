"""In-toto attestations as pure functions: make, sign, verify and judge them.

Bytes, keys, trust and time come in as arguments; this package opens no file, reads no
clock and knows no store. Only a signer may use the network (a KMS, a sigstore instance).
"""
