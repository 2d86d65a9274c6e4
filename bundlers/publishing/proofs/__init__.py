"""What proves to a consumer where a channel stands: which entries, rows and objects, and nothing left out.

In: a ledger's history or a proof of it, a channel. Out: what is to be shown, or what it adds up to. Called by whoever
publishes (`recording`, `publication`), by kits, and by consumers, who judge by the same functions.
"""
