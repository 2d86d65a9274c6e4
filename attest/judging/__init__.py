"""The parts of a decision: what is asked, what was verified, and one module per kind of rule.

In: a channel's policy, a trust root, the evidence that was recorded, a request with its time. Out: a decision with
every rule that was asked, met or not and why. Pure: no store, no clock. Called by the rules of the ledger, by
promotion and by audit, which therefore never disagree.
"""
