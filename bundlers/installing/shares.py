"""Which of a channel's two releases is installed here, while a share of its consumers gets another one.

Promises: unless the consumer's own settings say it, the install id and the move decide, and nobody chooses. Leaves to
others: that both were verified (`consuming.verification`).

    found, why = choose(found, "drawn", "/var/lib/casstore")
"""

from __future__ import annotations

from attest.core import shares
from bundlers.consuming.service import Verified
from bundlers.consuming.state import ConsumerState

DRAWN, NEVER, ALWAYS = "drawn", "never", "always"
WISHES = (DRAWN, NEVER, ALWAYS)


def choose(found: Verified, wish: str, state_folder: str) -> tuple[Verified, str]:
    """What is installed, and why that; an empty text where there is no choice. Raises VerificationError."""
    canary, beside = found.channel.canary, found.canary
    if found.channel.canary_withdrawn:
        return found, f"what a share of {found.channel.channel} had was withdrawn: {found.channel.canary_withdrawn}"
    if canary is None or beside is None:
        return found, ""
    told = f"{canary.share}% of {found.channel.channel} get {canary.channel.version}"
    if wish != DRAWN:
        return (beside if wish == ALWAYS else found), f'{told}: share is "{wish}" here'
    if shares.reaches(canary.share, ConsumerState(state_folder).install_id(), canary.began):
        return beside, f"{told}, and this installation was drawn"
    return found, f"{told}, and this installation was not drawn"
