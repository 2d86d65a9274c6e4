"""The report for people: Markdown, or the same as one HTML page without scripts, every text escaped.

page(report.to_json(), "html")
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attest.core.shown import shown
from attest.errors import BadInput

_VERDICTS = {"green": "Green", "warnings": "Green with warnings", "blocked": "Blocked"}
_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}table{border-collapse:collapse;"
    "margin:1em 0}td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}.blocker{background:#fbdcdc}.warning{background:#fdf2cc}.ok{background:#e3f5e1}"
)
Row = Sequence[str]


def page(report: Mapping[str, Any], kind: str) -> bytes:
    """The report as `md` or `html`. Raises BadInput for another kind."""
    if kind not in ("md", "html"):
        raise BadInput(f"a report is .json, .md or .html, not .{kind[:20]}")
    write = _html if kind == "html" else _markdown
    return write(_title(report), _facts(report), list(_tables(report))).encode("utf-8", "backslashreplace")


def _title(report: Mapping[str, Any]) -> str:
    subject = report["subject"]
    what = f"Channel {subject['channel']}" if report["auditType"] == "channel" else f"Release {subject['version']}"
    return f"{what}: {_VERDICTS[report['verdict']]}"


def _facts(report: Mapping[str, Any]) -> list[Row]:
    subject, move = report["subject"], report["subject"]["move"]
    rows: list[Row] = [
        ("Audited", f"{report['timestamp']} by {report['tool']['name']} {report['tool']['version']}"),
        ("Release", f"{subject['version']}, {subject['release']}"),
        ("Ledger", f"{report['ledger']['name']} of store {report['store']}, {report['ledger']['entries']} entries"),
        ("Newest entry", report["ledger"]["tip"]),
        ("Trust root", f"version {report['trustRoot']['version']}, {report['trustRoot']['digest']}"),
    ]
    if move:
        why = f": {move['reason']}" if move["reason"] else ""
        rows.append(("Move", f"entry {move['entry']}, {move['action']} at {move['time']} by {move['by']}{why}"))
    elif report["auditType"] == "release":
        rows.append(("Next channel", subject["channel"] or "none"))
    return rows


def _tables(report: Mapping[str, Any]) -> Iterator[tuple[str, Row, list[Row]]]:
    bad = [check for check in report["checks"] if check["status"] != "ok"]
    yield (
        "What it ships",
        ("product", "build", "platform", "archive", "digest"),
        [
            (row["product"], row["build"], row["platform"] or "-", row["archive"], row["digest"])
            for row in report["subject"]["builds"]
        ],
    )
    if report["subject"]["notes"]:
        yield "Notes of the release", ("text",), [(line,) for line in report["subject"]["notes"].splitlines()]
    yield "What stands in the way", ("status", "what", "what to do"), [_told(check) for check in bad]
    yield (
        "Who allowed it",
        ("by", "channel", "until", "comment", "attestation"),
        [
            (", ".join(row["by"]), row["channel"], row["expires"], row["comment"], row["attestation"])
            for row in report["approvals"]
        ],
    )
    yield (
        "Gates",
        ("gate", "result", "by", "attestation"),
        [(row["gate"], row["result"], ", ".join(row["by"]), row["attestation"]) for row in report["gates"]],
    )
    yield (
        "All checks",
        ("status", "check", "what was found"),
        [(check["status"], check["id"], check["message"]) for check in report["checks"]],
    )
    yield (
        "Evidence",
        ("attestation", "type", "by", "entry", "trust root", "status"),
        [
            (
                row["attestation"],
                row["type"],
                ", ".join(row["by"]),
                "-" if row["entry"] is None else f"{row['entry']} ({row['time']})",
                str(row["trustRoot"]),
                row["status"],
            )
            for row in report["evidence"]
        ],
    )


def _told(check: Mapping[str, Any]) -> Row:
    return check["status"], f"{check['id']}: {check['message']}", check["hint"]


def _markdown(title: str, facts: list[Row], tables: list[tuple[str, Row, list[Row]]]) -> str:
    lines = [f"# {_cell(title)}", "", *(f"- {name}: {_cell(text)}" for name, text in facts)]
    for heading, head, rows in tables:
        lines += ["", f"## {heading}", ""]
        if not rows:
            lines.append("Nothing.")
            continue
        lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that is nothing but text in Markdown: names and reasons come from others."""
    flat = shown(text)
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#!" else char for char in flat)


def _html(title: str, facts: list[Row], tables: list[tuple[str, Row, list[Row]]]) -> str:
    parts = [f"<h1>{_text(title)}</h1>", _table(("", ""), facts)]
    for heading, head, rows in tables:
        parts += [f"<h2>{_text(heading)}</h2>", _table(head, rows) if rows else "<p>Nothing.</p>"]
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{_text(title)}</title><style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</html>\n"
    )


def _table(head: Row, rows: list[Row]) -> str:
    top = "".join(f"<th>{_text(cell)}" for cell in head) if any(head) else ""
    body = "".join(f"<tr{_class(row)}>" + "".join(f"<td>{_text(cell)}" for cell in row) for row in rows)
    return f"<table>{f'<tr>{top}' if top else ''}{body}</table>"


def _text(value: str) -> str:
    return html.escape(shown(value))


def _class(row: Row) -> str:
    return f" class={row[0]}" if row[0] in ("ok", "warning", "blocker") else ""
