"""What some bytes hold: members of packed things, fingerprints, marks of programs, secrets.

In: a stream of bytes that nobody vouches for. Out: plain values, or `OverBudget`. `looking` and all that opens packed
things run in a cell behind `DOOR` and nowhere else (`casstore.hostile`); fingerprints and the rules for secrets are
plain functions. Called by isolation, by the secrets gate, and by who shows text that may have a secret in it.
"""
