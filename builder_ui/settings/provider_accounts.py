"""Provider accounts: which there are, which carries what, a new one, and those that take nothing now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from activities import account_admin
from activities.accounts import Accounts
from activities.providers import ConfiguredProvider, Providers
from builder_ui.kit import components, forms
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import CHANNELS, coded
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings import account_form
from builder_ui.settings import stopped_accounts as stops
from builder_ui.settings.sections import framed, panel
from journeys.errors import Invalid, Issue, NotFound
from models import ProviderAccount
from workspace import accounts as rows
from workspace import stopped_accounts

ADDRESS = "/ui/settings/accounts"
TITLE = "Provider accounts"
LEAD = (
    "Accounts send your messages. If one refuses messages or does not answer, its messages wait; one at a time is "
    "tried every few seconds, and all are sent automatically once it works again. None is lost; "
    "messages that have waited as long as their journey allows fail."
)
NOBODY = "Outbox (messages stay here and reach nobody)"
NONE_HERE = "No account can be set up in this workspace: it reaches nobody."
SEEDED = "Set up by the server's environment variables. They only set up the first account; they are not read again."


@dataclass(frozen=True, slots=True)
class Data:
    """`carried`: channel -> account."""

    accounts: Sequence[ProviderAccount]
    removed: Sequence[ProviderAccount]
    carried: Mapping[str, str]
    stopped: Sequence[Row[Any]]


def load(visit: PageContext) -> Data:
    with visit.engine.db.read() as session:
        return Data(rows.listed(session), rows.removed(session), rows.carried(session), stopped_accounts.listed(session))


def stamp(visit: PageContext) -> object:
    data = load(visit)
    seen = [(row.account, row.revision, row.tested_at, row.removed_at) for row in (*data.accounts, *data.removed)]
    return seen, data.carried, [tuple(row) for row in data.stopped]


def providers_of(visit: PageContext) -> Providers:
    return visit.house.accounts.providers if visit.house.accounts else Providers.of_none()


def accounts_of(visit: PageContext) -> Accounts:
    """Raises: NotFound: none can be set up here."""
    if visit.house.accounts is None:
        raise NotFound(NONE_HERE)
    return visit.house.accounts


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    providers = providers_of(visit)
    return framed(
        visit,
        TITLE,
        LEAD,
        stops.section(visit, data.stopped, providers, acts),
        table(visit, data),
        routes(visit, data, acts) if data.accounts else None,
        entry(visit, data, providers, acts),
        gone(visit, data, acts),
        wide=True,
    )


def table(visit: PageContext, data: Data) -> Element:
    speech = visit.speech
    if not data.accounts:
        return components.empty("mail", speech("No account is set up: messages stay in the outbox and reach nobody."), None)
    columns = [speech(text) for text in ("Account", "Provider", "Used for", "Last test", "")]
    return components.table(speech(TITLE), columns, [cells(visit, data, row) for row in data.accounts])


def cells(visit: PageContext, data: Data, row: ProviderAccount) -> list[Element]:
    speech, kind = visit.speech, providers_of(visit).get(row.provider)
    carries = [coded(speech, CHANNELS, channel) for channel, account in data.carried.items() if account == row.account]
    address = f"{ADDRESS}/{row.account}"
    return [
        html.a({"href": address}, html.strong(row.account)) if visit.may("account.manage") else html.strong(row.account),
        speech(kind.label) if kind else html.code(row.provider),
        html._(*[html.span({"key": str(n)}, ", " if n else "", one) for n, one in enumerate(carries)]) if carries else "–",
        tested(visit, row),
        html.a({"href": address, "className": "button"}, speech("Edit")) if visit.may("account.manage") else "",
    ]


def tested(visit: PageContext, row: ProviderAccount) -> Element:
    speech = visit.speech
    if row.tested_at is None:
        return components.badge(speech("not tested"), "quiet", "clock")
    mark = components.badge(speech("failed"), "bad", "alert") if row.tested_code else components.badge(speech("worked"), "good", "check")
    return html._(mark, " ", components.moment(speech, row.tested_at))


def routes(visit: PageContext, data: Data, acts: Acts) -> Element:
    """Which account carries which channel."""
    speech, providers = visit.speech, providers_of(visit)
    fields = []
    for channel in sorted(providers.nobody.channels & {one for kind in providers for one in kind.channels}, key=list(CHANNELS).index):
        able = [row.account for row in data.accounts if (kind := providers.get(row.provider)) and channel in kind.channels]
        options = [("", speech(NOBODY)), *((account, account) for account in able)]
        fields.append(forms.Field(channel, speech(CHANNELS[channel]), "select", data.carried.get(channel, ""), options))
    if not fields:
        return None
    done = "Saved. The change applies within a second."
    made = forms.form(
        visit, acts, "routes", fields, speech("Save"), "account.manage", choosing(data.carried), done, str(sorted(data.carried.items()))
    )
    note = speech("A newly chosen account is tested before it is used.")
    return panel(speech("Accounts by channel"), html.p({"className": "quiet"}, note), made)


def choosing(before: Mapping[str, str]) -> forms.Change:
    def do(visit: PageContext, values: forms.Values) -> None:
        changed = {channel: account for channel, account in values.items() if account != before.get(channel, "")}
        account_admin.choose(accounts_of(visit), changed, visit.by, visit.house.real_now())

    return do


def entry(visit: PageContext, data: Data, providers: Providers, acts: Acts) -> Element:
    """A new account of the provider that was chosen, the first one otherwise."""
    speech, kinds = visit.speech, list(providers)
    if not visit.may("account.manage"):
        return None
    if not kinds:
        return html.p({"className": "notice"}, components.icon("alert"), speech(NONE_HERE))
    kind = providers.get(visit.query.get("provider", "")) or kinds[0]
    hint = speech("Letters, digits, dots, - and _. It never changes.")
    name = forms.Field("name", speech("Name of the account"), value="" if data.accounts else "main", most=64, required=True, hint=hint)
    fields = [name, *account_form.fields_of(speech, kind, {})]
    generation = f"{kind.name}.{len(data.accounts)}"
    done = "The account works and was saved. Choose above which channels use it."
    return panel(
        speech("New account"),
        others(visit, kind, kinds),
        html.p({"className": "quiet"}, speech("The connection is tested before the account is saved. Nobody is sent a message.")),
        forms.form(visit, acts, "account", fields, speech("Test and save"), "account.manage", adding(kind), done, generation),
    )


def others(visit: PageContext, kind: type[ConfiguredProvider], kinds: Sequence[type[ConfiguredProvider]]) -> Element:
    speech = visit.speech
    if len(kinds) < 2:
        return html.p(html.strong(speech(kind.label)))
    links = [
        html.a(
            {"key": one.name, "href": visit.link(provider=one.name), "className": "tab here" if one is kind else "tab"}, speech(one.label)
        )
        for one in kinds
    ]
    return html.nav({"className": "tabs", "aria-label": speech("Provider")}, links)


def adding(kind: type[ConfiguredProvider]) -> forms.Change:
    def do(visit: PageContext, values: forms.Values) -> None:
        with placed():
            account_admin.add(
                accounts_of(visit), kind.name, values["name"], account_form.values_of(kind, values), visit.by, visit.house.real_now()
            )

    return do


class placed:
    """Issues of a configuration, shown at the fields of its form."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: object, _trace: object) -> None:
        if isinstance(error, Invalid) and error.issues:
            issues = [issue if issue.field == "name" else _at_field(issue) for issue in error.issues]
            raise Invalid("Please look at the marked fields.", issues) from None


def _at_field(issue: Issue) -> Issue:
    return issue.model_copy(update={"field": account_form.PREFIX + (issue.field or "")})


def gone(visit: PageContext, data: Data, acts: Acts) -> Element:
    if not data.removed or not visit.may("account.manage"):
        return None
    speech = visit.speech
    columns = [speech(text) for text in ("Account", "Removed", "")]
    lines = [
        [
            html.strong(row.account),
            components.moment(speech, row.removed_at),
            components.button(
                speech("Restore"), acts.act("account.manage", taking_back(row.account), "The account was restored."), "history"
            ),
        ]
        for row in data.removed
    ]
    note = speech("You can restore a removed account within seven days; then its secrets are deleted.")
    return panel(
        speech("Removed accounts"), html.p({"className": "quiet"}, note), components.table(speech("Removed accounts"), columns, lines)
    )


def taking_back(account: str) -> Do:
    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            rows.take_back(session, account, visit.by, visit.house.real_now())

    return do


PAGE = Page(ADDRESS, TITLE, "settings", "account.read", load, view, stamp, every_seconds=2.0)
