"""A picture of an isolation report: products against products, as SVG that stands alone.

Green shares nothing, or only what a reason allows; red shares more. Every field has its figures as
a tool tip. The same report gives the same bytes.

    matrix(report)          # -> "<svg ..."
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from bundlers.isolation.reports import IsolationReport

_FIELD, _NAME, _TOP = 120, 170, 60
_OWN, _NOTHING, _ALLOWED, _LEAK = "#e5e7eb", "#dcfce7", "#86efac", "#fca5a5"


def matrix(report: IsolationReport) -> str:
    """The SVG document."""
    names = list(report.products)
    width, height = _NAME + _FIELD * len(names) + 20, _TOP + 40 + 60 * len(names) + 50
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="12" role="img">',
        "<title>What products share</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="24" font-size="16">{report.compared} contents compared,'
        f" {len(report.findings)} shared without a reason</text>",
    ]
    for number, name in enumerate(names):
        lines.append(_text(_NAME + _FIELD * number + _FIELD // 2, _TOP + 24, name, middle=True))
        lines.append(_text(10, _TOP + 40 + 60 * number + 34, name))
        for other, column in enumerate(names):
            lines += _field(report, name, column, _NAME + _FIELD * other, _TOP + 40 + 60 * number)
    lines += _legend(_TOP + 40 + 60 * len(names) + 24)
    return "\n".join([*lines, "</svg>", ""])


def _field(report: IsolationReport, row: str, column: str, x: int, y: int) -> list[str]:
    colour, told, tip = _judged(report, row, column)
    return [
        f'<g><rect x="{x}" y="{y}" width="{_FIELD - 4}" height="56" rx="4" fill="{colour}"/>',
        f"<title>{_safe(tip)}</title>",
        *(_text(x + _FIELD // 2 - 2, y + 24 + 16 * n, line, middle=True) for n, line in enumerate(told)),
        "</g>",
    ]


def _judged(report: IsolationReport, row: str, column: str) -> tuple[str, list[str], str]:
    if row == column:
        files, size = report.sizes[row]
        return _OWN, [f"{files} files", _bytes(size)], f"{row}: {files} files, {size} bytes"
    may, findings = report.between(row, column)
    reasons = [f"{c.source}: {c.files} files, {c.size} bytes ({c.why})" for c in may]
    tip = "\n".join([f"{row} and {column}", *reasons, *(found.told for found in findings[:20])])
    if findings:
        return _LEAK, [f"{len(findings)} leaks", _bytes(sum(found.size for found in findings))], tip
    if may:
        return _ALLOWED, [f"{sum(c.files for c in may)} files", _bytes(sum(c.size for c in may))], tip
    return _NOTHING, ["nothing"], tip


def _legend(y: int) -> list[str]:
    lines, x = [], 10
    for colour, told in ((_NOTHING, "shares nothing"), (_ALLOWED, "shared with a reason"), (_LEAK, "leak")):
        lines.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>')
        lines.append(_text(x + 18, y + 11, told))
        x += 40 + 8 * len(told)
    return lines


def _text(x: int, y: int, told: str, *, middle: bool = False) -> str:
    anchor = ' text-anchor="middle"' if middle else ""
    shown = told if len(told) <= 22 else f"{told[:21]}\u2026"
    return f'<text x="{x}" y="{y}"{anchor}>{_safe(shown)}</text>'


def _safe(told: str) -> str:
    """XML takes no control characters and no lone surrogates."""
    clean = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in told)
    return escape(clean, {'"': "&quot;"})


def _bytes(count: int) -> str:
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{int(value)} B" if unit == "B" else f"{value:.1f} {unit}"
