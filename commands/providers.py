"""Which providers a workspace has, and the accounts that the environment seeds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from activities import account_setup
from activities.accounts import Accounts
from activities.domains.resolver import Resolver
from activities.providers import ConfiguredProvider, Providers, Surroundings
from activities.webhooks.address_guard import Guard
from engine.engine import Engine
from journeys.calls import queue_of
from journeys.errors import Invalid, Misconfigured
from settings import PREFIX, Settings
from workspace import accounts


@dataclass(frozen=True, slots=True)
class Seed:
    """An account as the environment describes it, and the channels that shall go through it."""

    given: accounts.SetUp
    name: str
    channels: Sequence[str]


def providers_of(workspace: str, kinds: Sequence[type[ConfiguredProvider]] = (), needed: Collection[str] | None = None) -> Providers:
    """The providers that accounts can be made of, `kinds` among them; of ours those that are `needed` (None: all). Staging has none, and
    loads none."""
    return {"live": lambda: _live(kinds, needed), "staging": Providers.of_none}[workspace]()


def _live(kinds: Sequence[type[ConfiguredProvider]], needed: Collection[str] | None) -> Providers:
    ours = None if needed is None else set(needed) - {kind.name for kind in kinds}
    return Providers.built_in(ours).with_kinds(*kinds)


def accounts_of(settings: Settings, engine: Engine, kinds: Sequence[type[ConfiguredProvider]] = (), *, everything: bool = True) -> Accounts:
    """The provider accounts of the workspace, those that the environment seeds among them; staging has none, whatever its database says.
    `everything` false: providers that this process lacks are for others to seed.

    Raises: Misconfigured, as `seeds`.
    """
    providers = providers_of(settings.workspace, kinds)
    seed_accounts(settings, engine, providers, everything=everything)
    from activities.tracking import Tracking  # it brings what renders mails, which who only names providers does not need

    guard = Guard.allowing(settings.webhook_allow)
    tracking = Tracking(settings.signing_keys(), settings.public_url)
    return Accounts(
        engine.db,
        providers,
        engine.address_keys,
        Surroundings(engine.db, engine.clock.now, settings.public_url, return_path=tracking.bounce_address, guard=guard),
        resolver=Resolver(settings.dns_servers),
    )


def seed_accounts(settings: Settings, engine: Engine, providers: Providers, *, everything: bool = True) -> None:
    """Makes rows of the accounts that the environment names, where nothing is decided about their channels; called at every start.

    Raises: Misconfigured, as `seeds`.
    """
    with engine.db.read() as session:
        decided = accounts.decided(session)
    now: datetime = engine.clock.real_now()
    for seed in seeds(settings, providers, decided, everything=everything):
        with engine.db.write() as session:
            accounts.seed(session, engine.address_keys, seed.given, seed.name, seed.channels, now)


def seeds(settings: Settings, providers: Providers, decided: Mapping[str, str], *, everything: bool = True) -> Iterator[Seed]:
    """What the environment says about channels of which nothing is `decided` yet; nothing, where no provider can have accounts.

    Raises: Misconfigured, if a channel names a provider that there is not, or one whose settings are missing.
    """
    named: dict[tuple[str, str], list[str]] = {}
    for channel, account in settings.channels.items():
        if channel not in decided and account.provider != providers.nobody.name:
            named.setdefault((account.provider, account.account), []).append(channel)
    for (provider, name), channels in named.items():
        if providers.kinds and (everything or providers.get(provider)):
            yield Seed(_given(settings, providers, provider), name, channels)


def _given(settings: Settings, providers: Providers, name: str) -> accounts.SetUp:
    kind = providers.get(name)
    if kind is None:
        known = [one.name for one in (providers.nobody, *providers)]
        raise Misconfigured("There is no provider {name}: set PFADWERK_CHANNELS to one of {known}.", name=name, known=", ".join(known))
    try:
        return account_setup.read(kind, settings.account_seeds().get(name, {}))[1]
    except Invalid as error:
        places = [f"{PREFIX}{name.upper()}_{str(issue.field).upper()}" for issue in error.issues]
        raise Misconfigured("The provider {name} lacks its settings. Set {variables}.", name=name, variables=", ".join(places)) from None


def legacy_queues(engine: Engine, channels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(channel, queue) of the queues that were named after accounts of the environment: activities planned there may still wait."""
    with engine.db.read() as session:
        names = {row.account.partition(".")[2] for row in accounts.seeded(session)}
    for name in sorted(names | {"default"}):
        yield from ((channel, queue_of(channel, name)) for channel in channels if ":" not in channel)
