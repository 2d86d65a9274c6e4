"""Which hosts may be reached, and when to stop asking one: the policy in front of every socket.

In: the allowlist and what a person named. Out: a guard that lets a connection open or raises PolicyViolation.
The only room that touches sockets. Called by storage, signers (handed in), forges and consumers.
"""
