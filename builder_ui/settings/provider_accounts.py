"""Provider accounts: which there are, which carries what, a new one, and those that take nothing now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from activities import account_admin
from activities.accounts import Accounts
from activities.providers import ConfiguredProvider, Providers
from activities.providers.registry import serves
from builder_ui.kit import components, forms
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import CHANNELS, coded
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings import account_form, sending_rates, sharing
from builder_ui.settings import stopped_accounts as stops
from builder_ui.settings.sections import framed, panel
from builder_ui.settings.sending_rates import Rates
from journeys.channels import CHANNELS as KINDS
from journeys.channels import ROUTES
from journeys.errors import Invalid, Issue, NotFound
from models import ProviderAccount
from workspace import accounts as rows
from workspace import stopped_accounts

ADDRESS = "/ui/settings/accounts"
ROUTE_NAMES: Mapping[str, str] = {
    **{key: route.label if route else CHANNELS[channel] for key, (channel, route) in ROUTES.items()},
    **{channel: name for channel, name in CHANNELS.items() if channel not in ROUTES},
}
"""What an account can be chosen for -> what it is called, in the order in which pages show it."""
TITLE = "Provider accounts"
LEAD = (
    "Accounts send your messages. If one refuses messages or does not answer, the others of its channel stand in. Where there "
    "are none, its messages wait; one at a time is tried every few seconds, and all are sent automatically once it works again. None is lost; "
    "messages that have waited as long as their journey allows fail."
)
NOBODY = "Outbox (messages stay here and are not delivered)"
COLLECTS = "Returned mail and replies"
"""What a mailbox that is read is used for."""
NONE_HERE = "No account can be set up in this workspace: it never sends anything."
SEEDED = "Set up by the server's environment variables. They only set up the first account; they are not read again."


@dataclass(frozen=True, slots=True)
class Data:
    """`unproven`: account -> the domains of senders that e-mail of is not sent through it."""

    accounts: Sequence[ProviderAccount]
    removed: Sequence[ProviderAccount]
    lines: rows.Lines
    stopped: Sequence[Row[Any]]
    rates: Rates
    unproven: Mapping[str, Sequence[str]]

    @property
    def carried(self) -> Mapping[str, str]:
        """Channel -> account, of several the first."""
        return {channel: line[0].account for channel, line in self.lines.items()}


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        stopped, rates = stopped_accounts.listed(session), sending_rates.load(context, session)
        lines = rows.lines(session)
        unproven = sharing.unproven(session, lines)
        return Data(rows.listed(session), rows.removed(session), lines, stopped, rates, unproven)


def stamp(context: PageContext) -> object:
    data = load(context)
    seen = [(row.account, row.revision, row.tested_at, row.removed_at) for row in (*data.accounts, *data.removed)]
    return seen, data.lines, data.unproven, [tuple(row) for row in data.stopped], data.rates


def providers_of(context: PageContext) -> Providers:
    return context.app.accounts.providers if context.app.accounts else Providers.of_none()


def accounts_of(context: PageContext) -> Accounts:
    """Raises: NotFound: none can be set up here."""
    if context.app.accounts is None:
        raise NotFound(NONE_HERE)
    return context.app.accounts


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    providers = providers_of(context)
    return framed(
        context,
        TITLE,
        LEAD,
        stops.section(context, data.stopped, providers, acts) if data.accounts or data.stopped else None,
        table(context, data),
        sending_rates.section(context, data.rates),
        routes(context, data, acts) if data.accounts else None,
        *(
            sharing.section(context, one, data.lines[one], able(data, providers, one), data.unproven, acts)
            for one in shareable(data, providers)
        ),
        entry(context, data, providers, acts),
        gone(context, data, acts),
        wide=True,
    )


def table(context: PageContext, data: Data) -> Element:
    t = context.t
    if not data.accounts:
        return components.empty("mail", t("No account is set up: messages stay in the outbox and are not delivered."), None)
    columns = [t(text) for text in ("Account", "Provider", "Used for", "Last test", "")]
    return components.table(t(TITLE), columns, [cells(context, data, row) for row in data.accounts])


def cells(context: PageContext, data: Data, row: ProviderAccount) -> list[Element]:
    t, kind = context.t, providers_of(context).get(row.provider)
    carries = [coded(t, ROUTE_NAMES, channel) for channel in rows.used_for(data.lines, row.account)]
    carries = [t(COLLECTS)] if kind and kind.collects else carries
    address = f"{ADDRESS}/{row.account}"
    return [
        html.a({"href": address}, html.strong(row.account)) if context.may("account.manage") else html.strong(row.account),
        t(kind.label) if kind else html.code(row.provider),
        ", ".join(carries) or "–",
        tested(context, row),
        html.a({"href": address, "className": "button"}, t("Edit")) if context.may("account.manage") else "",
    ]


def tested(context: PageContext, row: ProviderAccount) -> Element:
    t = context.t
    if row.tested_at is None:
        return components.badge(t("not tested"), "quiet", "clock")
    mark = components.badge(t("failed"), "bad", "alert") if row.tested_code else components.badge(t("worked"), "good", "check")
    return html._(mark, " ", components.moment(t, row.tested_at))


def routes(context: PageContext, data: Data, acts: Acts) -> Element:
    """Which account carries which channel."""
    t, providers = context.t, providers_of(context)
    fields = []
    for channel in (route for route in ROUTE_NAMES if providers.on_route(route)):
        options = [("", t(NOBODY)), *((account, account) for account in able(data, providers, channel))]
        fields.append(forms.Field(channel, t(ROUTE_NAMES[channel]), "select", data.carried.get(channel, ""), options))
    if not fields:
        return None
    done = "Saved. The change applies within a second."
    made = forms.form(
        context, acts, "routes", fields, t("Save"), "account.manage", choosing(data.carried), done, str(sorted(data.carried.items()))
    )
    note = t("A newly chosen account is tested before it is used, and replaces all others of the channel.")
    return panel(t("Accounts by channel"), html.p({"className": "quiet"}, note), made)


def able(data: Data, providers: Providers, channel: str) -> list[str]:
    """The accounts that can send on the channel."""
    return [row.account for row in data.accounts if (kind := providers.get(row.provider)) and serves(kind, channel)]


def shareable(data: Data, providers: Providers) -> list[str]:
    """The channels that are carried, and that another account could take a share of."""
    shared = [name for name, channel in KINDS.items() if channel.shared and name in data.lines]
    return [name for name in shared if len(able(data, providers, name)) > 1]


def choosing(before: Mapping[str, str]) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        changed = {channel: account for channel, account in values.items() if account != before.get(channel, "")}
        account_admin.choose(accounts_of(context), changed, context.by, context.app.real_now())

    return do


def entry(context: PageContext, data: Data, providers: Providers, acts: Acts) -> Element:
    """A new account of the provider that was chosen, the first one otherwise."""
    t, kinds = context.t, list(providers)
    if not context.may("account.manage"):
        return None
    if not kinds:
        return html.p({"className": "notice"}, components.icon("alert"), t(NONE_HERE))
    kind = providers.get(context.query.get("provider", "")) or kinds[0]
    hint = t("Letters, digits, dots, - and _. It never changes.")
    name = forms.Field("name", t("Name of the account"), value="" if data.accounts else "main", most=64, required=True, hint=hint)
    fields = [name, *account_form.fields_of(t, kind, {})]
    generation = f"{kind.name}.{len(data.accounts)}"
    done = "The account works and was saved. Choose above which channels use it."
    return panel(
        t("New account"),
        others(context, kind, kinds),
        html.p({"className": "quiet"}, t("The connection is tested before the account is saved. No message is sent.")),
        forms.form(context, acts, "account", fields, t("Test and save"), "account.manage", adding(kind), done, generation),
    )


def others(context: PageContext, kind: type[ConfiguredProvider], kinds: Sequence[type[ConfiguredProvider]]) -> Element:
    t = context.t
    if len(kinds) < 2:
        return html.p(html.strong(t(kind.label)))
    links = [
        html.a({"key": one.name, "href": context.link(provider=one.name), "className": "tab here" if one is kind else "tab"}, t(one.label))
        for one in kinds
    ]
    return html.nav({"className": "tabs", "aria-label": t("Provider")}, links)


def adding(kind: type[ConfiguredProvider]) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        with placed():
            account_admin.add(
                accounts_of(context), kind.name, values["name"], account_form.values_of(kind, values), context.by, context.app.real_now()
            )

    return do


class placed:
    """Issues of a configuration, shown at the fields of its form."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: object, _trace: object) -> None:
        if isinstance(error, Invalid) and error.issues:
            issues = [issue if issue.field == "name" else _at_field(issue) for issue in error.issues]
            raise Invalid("Please check the highlighted fields.", issues) from None


def _at_field(issue: Issue) -> Issue:
    return issue.model_copy(update={"field": account_form.PREFIX + (issue.field or "")})


def gone(context: PageContext, data: Data, acts: Acts) -> Element:
    if not data.removed or not context.may("account.manage"):
        return None
    t = context.t
    columns = [t(text) for text in ("Account", "Removed", "")]
    lines = [
        [
            html.strong(row.account),
            components.moment(t, row.removed_at),
            components.button(t("Restore"), acts.act("account.manage", taking_back(row.account), "The account was restored."), "history"),
        ]
        for row in data.removed
    ]
    note = t("You can restore a removed account within seven days; then its secrets are deleted.")
    return panel(t("Removed accounts"), html.p({"className": "quiet"}, note), components.table(t("Removed accounts"), columns, lines))


def taking_back(account: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            rows.take_back(session, account, context.by, context.app.real_now())

    return do


PAGE = Page(ADDRESS, TITLE, "settings", "account.read", load, view, stamp, every_seconds=2.0)
