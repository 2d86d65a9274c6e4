"""Publishing: a channel's release laid out as a static TUF repository on any folder or bucket.

In: a store, its ledger, a channel, a destination, signers. Out: archives and proofs first, the one pointer
(`timestamp.json`) last, so that a reader sees the state before or after. What lies there is looked at before it is said
to be there. Called by `publish` and its refresh; `consuming` reads what it wrote.
"""
