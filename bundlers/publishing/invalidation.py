"""After the pointer moved: tell a CDN, by the user's own command, through the process runner.

It reaches no network unless the destination says `invalidate_network = true`.
"""

from __future__ import annotations

from attest.errors import CasstoreError
from bundlers.publishing import writing
from bundlers.publishing.layout.destinations import DestinationSettings

_HOOK_SECONDS = 300.0


def invalidate(settings: DestinationSettings, folder: str) -> list[str]:
    """Run the invalidation command for each pointer; returns what failed, for the report."""
    if not settings.invalidate:
        return []
    from casstore.machine import runner

    per_path = any("{path}" in argument for argument in settings.invalidate)
    failed = []
    for path in (writing.CHECKPOINT, writing.TIMESTAMP) if per_path else ("",):
        argv = [argument.replace("{path}", path) for argument in settings.invalidate]
        try:
            done = runner.run(argv, cwd=folder, timeout=_HOOK_SECONDS, network=settings.invalidate_network, alone=True)
            if not done.ok:
                why = "timed out" if done.timed_out else f"exit code {done.exit_code}"
                if done.network is runner.NetworkUse.NONE:
                    why += ", without network: invalidate_network = true allows it"
                failed.append(f"{' '.join(argv)}: {why}")
        except CasstoreError as exc:
            failed.append(f"{' '.join(argv)}: {exc.message}")
    return failed
