"""The machine below: processes, their seclusion, locks, the clock, progress, configuration files on disk.

In: argument lists, paths, a progress object. Out: bounded output, exit codes, held locks, now.
Knows nothing of objects or ledgers. Called by every room of casstore and above.
"""
