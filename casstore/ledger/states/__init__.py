"""What a ledger's entries add up to, as values: tables that states share, views of them, and how they are written.

In: rows and roots. Out: a `LedgerState`, its record, the rows that consumers ask and the tries that a seal names.
Called by the rules, by folding, saving and sealing, and by all that ask a state. It reads no entry and no store.
"""
