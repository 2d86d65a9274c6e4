"""What is said: in-toto statements, their predicates (one file each) and the DSSE envelope around them.

In: digests and typed predicates, or the bytes of an envelope. Out: bytes to sign, or values parsed once.
No signature is judged here. Called by every room that makes or reads an attestation.
"""
