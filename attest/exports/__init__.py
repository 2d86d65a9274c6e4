"""Attestations in the forms that other tools read: DSSE JSON, in-toto layout and links.

In: verified bundles. Out: bytes of the other form; nothing is signed anew but the layout.
The top of attest: no room imports it. Called by `casstore attest export` and by audit.
"""
