"""Small values that every room of attest uses: checked JSON fields, times, SPKI.

In: plain values and bytes. Out: the same, parsed and checked once; BadInput for anything else.
Called by every room above; imports only `attest.digests`, `attest.canonical` and `attest.errors`.
"""
