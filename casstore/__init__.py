"""State: a store of immutable objects, its ledger, and what keeps both whole."""
