"""One thin file per command group, in a room per journey: parse, one call, render. `params` is what all share.

In: what people type, and the session (store, ledger, keys, clock). Out: one report drawn, or one error with its exit
code. A command decides nothing: what it needs to know is a function of a room below. Called by `cli.main` alone, by
its table: a module is imported when one of its commands is typed.
"""
