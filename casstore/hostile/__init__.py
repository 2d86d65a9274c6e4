"""The one door to parsers of foreign bytes: they run in a cell, and what they cost has a limit.

In: the name of a parser, a stream of foreign bytes, a question of plain values. Out: plain values, or `OverBudget`,
which names the limit and the figure; whoever asked names the file, and goes on with the others. A cell is a process
of its own that has no key and no variable of ours, opens nothing, reaches nothing and starts nothing, and that is ended
from outside when its time is out, even inside C code. It is started once and kept until the command ends.
Called by rooms of bundlers that look into what others made. A new such parser goes through here: `.importlinter`.

    DOOR = Door("bundlers.inspection.looking")       # the module whose PARSERS the cell offers
    for value in DOOR.ask("look", stream, size, question, Budget()): ...
"""

from __future__ import annotations

from casstore.hostile.budget import MEMORY, SECONDS, Budget
from casstore.hostile.door import Door
from casstore.hostile.scratch import Scratch

__all__ = ["MEMORY", "SECONDS", "Budget", "Door", "Scratch"]
