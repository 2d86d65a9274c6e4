"""`audit`, `affected`, `whence`: questions that are asked a year later; nothing here writes to a store.

In: a channel, a release, a package or vulnerability, a file that somebody has. Out: what is right and what is not,
which releases it touches, where it comes from. Called by `cli.main`; `store` and `channels` ask the same of a
destination and of a feed.
"""
