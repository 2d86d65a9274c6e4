"""What a shell offers at the tab key: click's scripts and answers, with files where nothing else is known.

script("bash")        # to be read by that shell; it asks this program at each tab key
prepare()             # before click answers
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from click import Command
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

PROGRAM = "casstore"
VARIABLE = "_CASSTORE_COMPLETE"
"""Set when a shell asks; click looks at it by the program's name."""

if TYPE_CHECKING:
    _Base = ShellComplete
else:
    _Base = object


class _FilesToo(_Base):
    """Where the commands know no answer, it is a path: most arguments are."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """What fits; files when nothing does and it is no option."""
        found = super().get_completions(args, incomplete)
        return found or ([] if incomplete.startswith("-") else [CompletionItem(incomplete, type="file")])


class _Bash(_FilesToo, BashComplete):
    pass


class _Zsh(_FilesToo, ZshComplete):
    pass


class _Fish(_FilesToo, FishComplete):
    pass


SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def script(shell: str) -> str:
    """What the shell reads once: in its start-up file, or where it looks for completions."""
    made = SHELLS[shell](Command(PROGRAM), {}, PROGRAM, VARIABLE)
    return made.source_template % made.source_vars()


def prepare() -> None:
    """Let click answer with ours."""
    for kind in SHELLS.values():
        add_completion_class(kind)
