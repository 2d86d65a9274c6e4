"""Rules of one's own: CEL expressions over the request and the evidence, by cel-python.

CEL ends, has no side effects and reads no clock; `matches` is left out, because regular
expressions differ between installations and can take for ever. An expression that fails, takes too
many steps (`expression_work`), or gives anything but true, refuses. The library is loaded only where
a policy has such a rule; where it is missing nothing is decided, since readers would disagree.

Source: https://github.com/google/cel-spec/blob/master/doc/langdef.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from attest import canonical
from attest.errors import FormatError, NotInstalled
from attest.judging.evidence import Evidence
from attest.judging.values import MISSING, SATISFIED, Rule
from attest.statements import predicates
from attest.trust.policy_parts import CustomRule
from attest.trust.verify import VerifiedStatement

_MOST_BACKSLASHES = 16
"""The library's reader of texts takes twice as long for each one more where a text is not closed."""
_MOST_VALUES = 1_000_000
"""Of the attestations that an expression is given."""
_NO_MATCHES = re.compile(r"\bmatches\s*\(")


def check(rule: CustomRule) -> None:
    """Whether the expression can be compiled. Raises FormatError, NotInstalled."""
    _program(rule.expression)


def judge(rule: CustomRule, evidence: Evidence) -> Rule:
    """The rule `rule:<id>`. Raises NotInstalled."""
    types = {kind for name in rule.uses for kind in predicates.types_of(name)}
    seen = [item for item in evidence.of_type(types) if item.statement.digests & evidence.made]
    used = tuple(sorted(item.bundle for item in seen))
    problem = _problem(rule, evidence, sorted(seen, key=lambda item: item.bundle))
    name = f"rule:{rule.id}"
    if not problem:
        return Rule(name, SATISFIED, rule.message or f"{rule.id} holds", used)
    who = evidence.holders(rule.who) if rule.who else ()
    message = f"{rule.message or rule.id}: {problem}"
    return Rule(name, MISSING, message, used, rule.who or None, who, "attest" if rule.uses else "none", 1)


def _problem(rule: CustomRule, evidence: Evidence, seen: list[VerifiedStatement]) -> str:
    """Why it does not hold; an empty text when it does."""
    _program(rule.expression)
    import celpy

    rows = canonical.dumps([_row(item, evidence) for item in seen])
    if sum(map(rows.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        return f"the attestations that it uses have more than {_MOST_VALUES} values"
    return problem_of(
        rule.expression, {"request": _request(evidence), "attestations": celpy.json_to_cel(json.loads(rows))}
    )


def problem_of(expression: str, variables: Mapping[str, Any]) -> str:
    """Why it is not true of CEL's values; an empty text when it is. Raises FormatError, NotInstalled."""
    program = _program(expression)
    import celpy

    from attest.judging.expression_work import MOST, OverWork

    try:
        result = program.evaluate(variables)
    except OverWork:
        return f"the expression takes more than {MOST} steps"
    except (celpy.CELEvalError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as exc:
        return f"the expression fails: {_one_line(exc)}"
    if isinstance(result, celpy.celtypes.BoolType):
        return "" if result else "it does not hold"
    return "the expression gives neither true nor false"


@lru_cache(maxsize=64)
def _program(expression: str) -> Any:
    try:
        import celpy

        from attest.judging.expression_work import WorkRunner
    except ImportError as exc:
        raise NotInstalled("the signed policy has rules in CEL, and cel-python is not installed") from exc
    if _NO_MATCHES.search(expression):
        raise _matches()
    if expression.count("\\") > _MOST_BACKSLASHES:
        raise FormatError(f"a CEL expression has more than {_MOST_BACKSLASHES} backslashes", hint="none is needed")
    environment = celpy.Environment(runner_class=WorkRunner)
    try:
        tree = environment.compile(expression)
    except celpy.CELParseError as exc:
        raise FormatError(f"not a CEL expression: {expression[:80]!r}: {_one_line(exc)}") from exc
    if any("matches" in part.children for part in tree.iter_subtrees()):  # with a comment before its bracket
        raise _matches()
    return environment.program(tree)


def _matches() -> FormatError:
    return FormatError("a CEL expression uses matches(), which is not offered", hint="use startsWith or contains")


def _request(evidence: Evidence) -> Any:
    from celpy import celtypes

    asked, root = evidence.request, evidence.trust_root
    names = sorted(root.names_of(asked.promoter, asked.now)) if asked.promoter else []
    value = _cel(
        {
            "channel": asked.channel,
            "action": asked.action,
            "version": asked.version,
            "release": asked.release,
            "store": asked.store,
            "ledger": asked.ledger,
            "promoter": names,
            "archives": dict(asked.archives),
            "components": dict(asked.trees),
            "inChannels": sorted(asked.in_channels),
            "share": 100 if asked.share is None else asked.share,
        }
    )
    value[celtypes.StringType("now")] = celtypes.TimestampType(asked.now)
    return value


def _row(item: VerifiedStatement, evidence: Evidence) -> Mapping[str, Any]:
    age = evidence.age(item)
    return {
        "type": item.statement.predicate_type,
        "predicate": item.statement.predicate,
        "subjects": sorted(item.statement.digests),
        "names": sorted(item.names),
        "roles": sorted(item.roles),
        "ageSeconds": -1 if age is None else age,
    }


def _cel(value: Any) -> Any:
    import celpy

    return celpy.json_to_cel(json.loads(canonical.dumps(value)))


def _one_line(exc: Exception) -> str:
    """celpy's messages end with a dump of all that is known."""
    said = str(exc.args[0]) if exc.args else type(exc).__name__
    return " ".join(said.split(" (in activation")[0].split())[:160]
