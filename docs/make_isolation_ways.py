"""Writes the table of ways to hide a file into docs/isolation.md, from the tests that try them:

python docs/make_isolation_ways.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests" / "support")]
PAGE = HERE / "isolation.md"
BEGIN, END = "<!-- ways: made by docs/make_isolation_ways.py -->\n", "<!-- end of ways -->\n"
_WHERE = ("behind noise", "before noise", "in prose", "in a program")


def table() -> str:
    """A row a way; what came of it as it is and in the midst of other bytes."""
    from tests.attacks.test_hostile_input import TOLD, WAYS

    rows: dict[str, dict[str, str]] = {}
    for came, ways in (("found", WAYS), ("told", TOLD)):
        for way in ways:
            name, _, where = way.rpartition(", ")
            name, where = (name, where) if where in _WHERE else (way, "")
            rows.setdefault(name.removeprefix("as "), {})[where] = came
    lines = [f"| way | as it is | {' | '.join(_WHERE)} |", "|---" * (len(_WHERE) + 2) + "|"]
    for name, cells in sorted(rows.items(), key=lambda row: ("told" in row[1].values(), row[0].lower())):
        lines.append("| " + " | ".join([name, *(cells.get(where, "") for where in ("", *_WHERE))]) + " |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with the table as it is now."""
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: BEGIN + table() + END, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
