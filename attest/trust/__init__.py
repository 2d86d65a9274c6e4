"""Who may say what: the signed trust root, the channel policies in it, and `verify`.

In: bytes, a trust root, the expected predicate type and subject digests, a time. Out: a verified statement.
Fails closed: what is not expected by the caller is refused. Called by judging, ceremony and casstore.
"""
