"""Draws that are not random: hashes of who and where, so that the same contact gets the same answer on every retry, replay and machine."""

from __future__ import annotations

import hashlib
from datetime import timedelta

GLOBAL_HOLD_OUT = "global_hold_out"
"""Why somebody of the workspace's control group gets no marketing."""
MESSAGE_HOLD_OUT = "message_hold_out"
"""Why somebody in the control group of one message does not get it."""
_STEPS = 2**64


def draw(*parts: str) -> float:
    """A number in [0, 1) that depends on nothing but `parts`; spread evenly over many contacts.

    The parts are joined with a separator that cannot occur in an id, so ("a", "bc") and ("ab", "c") draw differently.
    """
    hashed = hashlib.sha256("\x1f".join(parts).encode()).digest()
    # 53 bits are what a float holds exactly; more would round up to 1.0 for the largest hashes.
    return (int.from_bytes(hashed[:8], "big") >> 11) / (_STEPS >> 11)


def message_draw(journey: str, node: str) -> str:
    """Names the draw of one message's control group, so that who is held out of one message is not of all others."""
    return f"message/{journey}/{node}"


def spread(seconds: int, *parts: str) -> timedelta:
    """A whole number of seconds in [0, `seconds`), the same for the same parts; zero when `seconds` is zero."""
    return timedelta(seconds=int(draw("spread", *parts) * seconds))
