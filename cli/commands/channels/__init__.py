"""`approve`, `promote`, `rollback`, `unpin`, `explain`, `revoke`, `suspend`, `channel`, `status`, `policy`, `rehearse`.

In: a release, a channel, a reason, and the key of whoever allows or moves it. Out: signed approvals and moves, what
is withdrawn, where channels stand, what still is missing and who can give it. Releases are made in `releases` and
leave the house in `delivery`. Called by `cli.main` alone.
"""
