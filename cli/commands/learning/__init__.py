"""`help`, `completion`, `demo`: how a person finds the way, with nothing but the installed tool.

In: a topic, a shell, an empty folder. Out: a guide or a format from the wheel, the script by which a shell
completes, a whole release line from real files. Needs no store, no key and no network. Called by `cli.main` alone.
"""
