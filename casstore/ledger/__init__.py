"""The ledger: numbered, hash-chained entries created put-if-absent, and the state that they add up to.

- `entries`: one entry as bytes (docs/formats/ledger-entry.md).
- `log`: appending and reading, exact under races and lost answers.
- `state`: who is where: the fold of the entries, each one judged.
- `checkpoints`: signed size and root hash.
"""
