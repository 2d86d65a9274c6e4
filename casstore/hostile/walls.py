"""What the system gives parsers of foreign bytes and builds to be shut in by: tried, not believed.

for wall in walls(): wall.what, wall.whole, wall.told, wall.hint
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

from attest.core.values import dataclass
from attest.errors import CasstoreError
from casstore.hostile.budget import MIB, Budget
from casstore.hostile.door import Door
from casstore.machine import runner

_BUDGET = Budget(seconds=10, memory=64 * MIB)


@dataclass(frozen=True, slots=True)
class Wall:
    """One kind of guest, and whether nothing is open to it."""

    what: str
    whole: bool
    told: str
    hint: str = ""


def walls() -> Iterator[Wall]:
    """Parsers in a cell, then builds. Raises nothing."""
    yield of_parsers()
    yield _builds()


def of_parsers(module: str = "casstore.hostile.self_test") -> Wall:
    """What a cell with these parsers says of itself."""
    what, door = "parsers", Door(module)
    try:
        ((version, open_),) = door.ask("tries", io.BytesIO(), 0, None, _BUDGET)
        held = door.confined_by(_BUDGET)
    except CasstoreError as exc:
        return Wall(what, False, f"no cell for them can be started: {exc.message}", exc.hint)
    finally:
        door.close()
    names = [f"Landlock {version}"] * ("landlock" in held) + ["seccomp"] * ("seccomp" in held)
    told = f"shut in by {', '.join([*names, 'limits'])}"
    if open_:
        return Wall(what, False, f"{told}: foreign bytes that take one over could {', '.join(open_)}", _CELL)
    return Wall(what, True, told)


def _builds() -> Wall:
    try:
        result = runner.run([sys.executable, "-I", "-S", "-c", "pass"], cwd=".", timeout=60, network=False, alone=True)
    except CasstoreError as exc:
        return Wall("builds", False, f"none can be started alone: {exc.message}", exc.hint)
    apart = result.network is runner.NetworkUse.NONE
    missing = [] if result.alone else ["see and outlive other processes"]
    missing += [] if apart else ["reach the network"]
    if missing:
        return Wall("builds", False, f"no namespaces for them: a build could {' and '.join(missing)}", _BUILDS)
    return Wall("builds", True, "alone, without a network, in namespaces of their own")


_CELL = "limits alone hold it here; use a Linux of 5.13 or newer on x86-64 or AArch64 for files of others"
_BUILDS = "let this user have namespaces (kernel.unprivileged_userns_clone, a container's seccomp profile)"
