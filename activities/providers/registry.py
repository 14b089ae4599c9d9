"""Which providers there are: the one list, and the values made of it. A process that must not send loads none that reaches people."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Self

from activities.providers.outbox import Outbox
from activities.providers.provider import ConfiguredProvider
from journeys.channels import ROUTES

HERE = ("site_inbox:SiteInbox",)
"""Providers that call nobody: what they take lies in the workspace's own database, so that staging has them, too."""
BUILT_IN = (
    "smtp:Smtp",
    "ses:Ses",
    "twilio:Twilio",
    "webpush:WebPush",
    "fcm:Fcm",
    "postal_http:PostalHttp",
    "imap:Imap",
    "slack:Slack",
    *HERE,
)
"""`file:class` of every provider that reaches people, a file being called like its provider, in the order in which pages offer them. The outbox is always there."""

Kind = type[ConfiguredProvider]


@dataclass(frozen=True)
class Providers:
    """The providers that a process knows. `nobody` carries every channel that no account is chosen for, and reaches no one."""

    kinds: MappingProxyType[str, Kind] = field(default_factory=lambda: MappingProxyType({}))
    nobody: Kind = Outbox

    @classmethod
    def built_in(cls, needed: Collection[str] | None = None) -> Self:
        """All of `BUILT_IN`, loaded now; only those that are `needed`, if it names no other: their libraries are dear."""
        files = {name.partition(":")[0]: name for name in BUILT_IN}
        wanted = files if needed is None or not files.keys() >= set(needed) else sorted(needed, key=list(files).index)
        return cls.of_none().with_kinds(*(_loaded(files[file]) for file in wanted))

    @classmethod
    def of_none(cls) -> Self:
        """No account can be set up, and none that is there is used: staging."""
        return cls()

    def with_kinds(self, *kinds: Kind) -> Self:
        """These, too."""
        return type(self)(MappingProxyType({**self.kinds, **{kind.name: kind for kind in kinds}}), self.nobody)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self.kinds.values())

    def get(self, name: str) -> Kind | None:
        """The provider of that name, if this process has it and it can have accounts."""
        return self.kinds.get(name)

    def on_route(self, route: str) -> list[Kind]:
        """Who can be chosen for a channel, or for a part of it (`journeys.channels.ROUTES`)."""
        return [kind for kind in self if serves(kind, route)]

    def of_channel(self, channel: str) -> list[Kind]:
        """Who can carry the channel."""
        return [kind for kind in self if channel in kind.channels]


def serves(kind: Kind, route: str) -> bool:
    """Whether accounts of this provider can be chosen for it."""
    channel, part = ROUTES.get(route, (route, None))
    return channel in kind.channels and (part is None or bool(part.kinds & kind.reaches))


def kept_here() -> list[Kind]:
    """The providers of `HERE`, loaded now, and no other."""
    return [_loaded(name) for name in HERE]


def _loaded(name: str) -> Kind:
    file, _, cls = name.partition(":")
    kind: Kind = getattr(import_module(f"activities.providers.{file}"), cls)
    return kind
