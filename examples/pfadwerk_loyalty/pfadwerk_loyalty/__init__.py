"""Books loyalty points. The ledger here is a dict; in a real package it is a call to your loyalty system."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field

from journeys.custom import ActivityContext, GiveUp, Result, activity

LEDGER: dict[str, tuple[str, int]] = {}
"""Idempotency key -> (member, points): booking twice under one key books once."""


class AddPoints(BaseModel):
    """The form of the step. Titles, descriptions and bounds appear in the builder and are checked before publishing."""

    member: str = Field("{{ contact.loyalty_number }}", title="Member", description="The member's number.", max_length=80)
    points: int = Field(title="Points", ge=1, le=10_000)
    reason: str = Field("", title="Reason", max_length=120)


def pretended(input: AddPoints) -> Result:
    """What staging and the simulator answer: nothing is booked."""
    return Result("added", {"balance": input.points})


@activity(
    name="loyalty_points",
    title="Add loyalty points",
    outlets=("added", "not_a_member"),
    timeout=timedelta(seconds=20),
    retries=5,
    icon="gem",
    fake=pretended,
)
def add_points(ctx: ActivityContext, input: AddPoints) -> Result:
    """Books points for a member of the loyalty programme.

    A contact without a member number leaves through *not_a_member*. Later steps and templates can read the new balance.
    """
    if not input.member:
        return Result("not_a_member")
    if not input.member.isalnum():
        raise GiveUp("bad_member_number")
    LEDGER.setdefault(ctx.idempotency_key, (input.member, input.points))
    balance = sum(points for member, points in LEDGER.values() if member == input.member)
    return Result("added", {"balance": balance})
