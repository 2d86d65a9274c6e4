"""The rows of a state's tables as a person reads them."""

from __future__ import annotations

import json
from typing import Any

from casstore.ledger.states import row_values
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.state_records import LOGS, TABLES
from casstore.ledger.states.views import plain


def table_rows(state: LedgerState) -> dict[str, Any]:
    """The tables that only `full` names, for a person who looks for what became another."""
    tables = {name: getattr(state, name) for name in TABLES}
    logs = {name: dict(enumerate(getattr(state, name))) for name in LOGS if name != "void"}
    rows = {}
    for name, table in {**tables, **logs}.items():
        written = row_values.forms(name)[0]
        rows |= {f"{name} {key}": plain(written(value)) for key, value in table.items()}
    return {name: json.loads(json.dumps(value, default=str)) for name, value in rows.items()}
