"""What exists outside a journey and can be named in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from journeys.channels import DEFAULT


@dataclass(frozen=True, slots=True)
class KnownTemplate:
    """A message template: its channel, whether it holds the contact's unsubscribe link, whether it can only answer (some language of it has free
    text alone, on a channel that lets that out only as an answer), and whom it is from where its step says nothing."""

    channel: str = DEFAULT
    unsubscribe: bool = True
    only_answers: bool = False
    sender: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """Names by noun; None means that nobody looked, so nothing of that noun is checked."""

    templates: Mapping[str, KnownTemplate] | None = None
    pools: Collection[str] | None = None
    idle_pools: Collection[str] = ()
    """Those of `pools` in which nobody is active."""
    journeys: Collection[str] | None = None
    secrets: Collection[str] | None = None
    purposes: Collection[str] | None = None
    score_groups: Collection[str] | None = None
    members: Collection[str] | None = None
    """Ids of those who are active."""
    cap_classes: Collection[str] | None = None
    senders: Collection[str] | None = None
    topics: Collection[str] | None = None
    segments: Collection[str] | None = None
    coupon_pools: Collection[str] | None = None
    standings: Mapping[str, str] = field(default_factory=dict)
    """Key of a sender (empty: the usual one) -> what is wrong with it: unverified, red."""
    lacking: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Channel -> what its marketing messages must show and could not: postal_address, imprint."""

    def of(self, noun: str) -> Collection[str] | None:
        """The known names of a noun as nodes write it in `references`: template, pool, journey, secret, purpose, score, member, cap_class, sender, topic, segment, coupon_pool."""
        return {
            "template": self.templates,
            "pool": self.pools,
            "journey": self.journeys,
            "secret": self.secrets,
            "purpose": self.purposes,
            "score": self.score_groups,
            "member": self.members,
            "cap_class": self.cap_classes,
            "sender": self.senders,
            "topic": self.topics,
            "segment": self.segments,
            "coupon_pool": self.coupon_pools,
        }.get(noun)
