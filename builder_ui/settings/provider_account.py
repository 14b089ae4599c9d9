"""One provider account: its configuration without its secrets, a test of the connection, removing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from activities import account_admin
from activities.account_setup import UNKNOWN, what_to_do
from activities.providers import ConfiguredProvider, SigningKey
from builder_ui.kit import components, forms
from builder_ui.kit.actor_names import member_names
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import CHANNELS
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings import account_form, sending_plan
from builder_ui.settings import stopped_accounts as stops
from builder_ui.settings.provider_accounts import ADDRESS, COLLECTS, SEEDED, accounts_of, placed, providers_of, taking_back, tested
from builder_ui.settings.sections import framed, panel
from journeys.errors import NotFound
from models import ProviderAccount
from reports.mailboxes import Reading, reading_of
from workspace import accounts as rows
from workspace import stopped_accounts


@dataclass(frozen=True, slots=True)
class Data:
    """`row` None: it is removed. `held`: the secrets that have a value, not the values."""

    account: str
    row: ProviderAccount | None
    channels: list[str]
    held: list[str]
    stopped: Row[Any] | None
    names: dict[str, str]
    key: SigningKey | None = None
    plan: sending_plan.Found = sending_plan.UNLIMITED
    reading: Reading | None = None
    alone: Sequence[str] = ()
    """Of its channels those that no other account carries."""


def load(context: PageContext) -> Data:
    account = context.arguments["account"]
    with context.engine.db.read() as session:
        try:
            row = rows.find(session, account)
        except NotFound:
            if not any(one.account == account for one in rows.removed(session)):
                raise
            return Data(account, None, [], [], None, {})
        lines = rows.lines(session)
        channels, alone = rows.used_for(lines, account), rows.alone(lines, account)
        values = rows.secrets_of(context.engine.address_keys, row) or {}
        held = sorted(name for name, value in values.items() if value)
        stopped, names = stopped_accounts.find(session, account), member_names(session)
        reading = reading_of(session, account)
        plan = sending_plan.load(context, session, account)
    key = account_admin.signing_key(context.app.accounts, row) if context.app.accounts else None
    return Data(account, row, channels, held, stopped, names, key, plan, reading, alone)


def stamp(context: PageContext) -> object:
    data = load(context)
    row = data.row
    return (
        row and (row.revision, row.tested_at),
        data.channels,
        data.alone,
        tuple(data.stopped) if data.stopped else None,
        data.plan,
        data.reading,
    )


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    back = html.p(html.a({"href": ADDRESS, "className": "back"}, "← ", t("All provider accounts")))
    if data.row is None:
        again = components.button(
            t("Restore"), acts.act("account.manage", taking_back(data.account), "The account was restored."), "history"
        )
        return framed(context, data.account, "", back, components.empty("ban", t("This account was removed."), again))
    kind = providers_of(context).get(data.row.provider)
    return framed(
        context,
        data.account,
        "",
        back,
        stops.section(context, [data.stopped], providers_of(context), acts) if data.stopped else None,
        state(context, data, data.row, kind, acts),
        passed_over(context, data),
        signing(context, data, data.row, kind, acts) if kind else None,
        editing(context, data, data.row, kind, acts) if kind else html.p({"className": "notice bad"}, advice(context, data, UNKNOWN)),
        None if kind and kind.collects else panel(t(sending_plan.TITLE), sending_plan.section(context, data.account, data.plan, acts)),
        removal(context, data, acts),
    )


def advice(context: PageContext, data: Data, code: str) -> str:
    return context.t(what_to_do(providers_of(context), data.account, code))


def state(context: PageContext, data: Data, row: ProviderAccount, kind: type[ConfiguredProvider] | None, acts: Acts) -> Element:
    t, collects = context.t, bool(kind and kind.collects)
    carries = ", ".join(t(CHANNELS[channel]) for channel in data.channels if channel in CHANNELS) or "–"
    carries = t(COLLECTS) if collects else carries
    by = data.names.get(row.updated_by.removeprefix("member:"), row.updated_by)
    changed = html._(t("Changed by {name},", name=by), " ", components.moment(t, row.updated_at))
    came = t(SEEDED) if row.origin == "environment" else None
    button = components.button(
        t("Test the connection"), acts.act("account.manage", testing(data.account), "Tested. See the result below."), "link"
    )
    return panel(
        t("State"),
        components.facts(
            [(t("Used for"), carries), (t("Last test"), html._(tested(context, row), *_result(context, data, row)))]
            + ([] if came else [(t("Last change"), changed)])
            + (read(context, data.reading) if collects else [])
        ),
        html.p({"className": "quiet"}, came) if came else None,
        *addresses(context, data, row),
        html.p({"className": "quiet"}, t("The test logs in and sends nothing.")),
        html.div({"className": "actions"}, button) if context.may("account.manage") else None,
    )


def read(context: PageContext, reading: Reading | None) -> list[tuple[str, Element]]:
    """When all that lay in the mailbox had been read, and how much that was so far."""
    t = context.t
    if reading is None or reading.read_at is None:
        return [(t("Last read"), t("not yet; a worker looks within seconds"))]
    return [(t("Last read"), components.moment(t, reading.read_at)), (t("Mails read"), t.number(reading.taken))]


def passed_over(context: PageContext, data: Data) -> Element:
    """The mails that could not be dealt with."""
    t = context.t
    if data.reading is None or not data.reading.passed_over:
        return None
    note = t("These mails could not be read after several tries. They lie in the mailbox as they came; all others were read.")
    columns = [t(text) for text in ("When", "Number in the mailbox (UID)", "Reason")]
    lines: list[list[Element]] = [
        [components.moment(t, one.passed_at), str(one.uid), html.code(one.code)] for one in data.reading.passed_over
    ]
    return panel(t("Mails passed over"), html.p({"className": "quiet"}, note), components.table(t("Mails passed over"), columns, lines))


def addresses(context: PageContext, data: Data, row: ProviderAccount) -> list[Element]:
    """Where the provider shall call us, for whoever sets it up there."""
    kind = providers_of(context).get(row.provider)
    if not kind or not kind.callbacks:
        return []
    places = [html.li({"key": route}, html.code(f"{context.app.public_url}/callbacks/{data.account}/{route}")) for route in kind.callbacks]
    return [
        html.p({"key": "callbacks"}, context.t(kind.calls_for)),
        html.ul(places),
    ]


def _result(context: PageContext, data: Data, row: ProviderAccount) -> list[Element]:
    if not row.tested_code:
        return []
    return [html.p({"key": "code"}, html.code(row.tested_code), " ", advice(context, data, row.tested_code))]


def editing(context: PageContext, data: Data, row: ProviderAccount, kind: type[ConfiguredProvider], acts: Acts) -> Element:
    t = context.t
    fields = account_form.fields_of(t, kind, row.config, data.held)
    done = "The account works and was saved. The change applies within a second."
    made = forms.form(context, acts, "account", fields, t("Test and save"), "account.manage", changing(row, kind), done, str(row.revision))
    note = t("The connection is tested first. If the test fails, nothing changes.")
    return panel(t(kind.label), html.p({"className": "quiet"}, note), made)


def signing(context: PageContext, data: Data, row: ProviderAccount, kind: type[ConfiguredProvider], acts: Acts) -> Element:
    """The account's own DKIM key: what to paste where, and a new one."""
    if not kind.own_key:
        return None
    t, key = context.t, data.key
    do = acts.act("account.manage", making_key(row.account), "The key was created. Enter the record in the DNS of your sending domain.")
    if key is None:
        note = t("This account does not sign its e-mails. Create a key unless your mail server signs them itself.")
        button = components.button(t("Create DKIM key"), do, "lock")
        return panel(t("DKIM signature"), html.p({"className": "quiet"}, note), html.div({"className": "actions"}, button))
    note = t("Every e-mail is signed for the domain of its sender. Enter this record in the DNS of each domain that you send from:")
    question = t("E-mails are signed with the new key within a second. Keep the old record for a week, for e-mails on their way.")
    again = components.ask(t("Replace key"), question, t("Replace key"), do, "lock")
    record = components.facts(
        [
            (t("Name"), html.code(f"{key.selector}._domainkey")),
            (t("Type"), html.code("TXT")),
            (t("Value"), html.code({"className": "wrap"}, key.value)),
        ]
    )
    return panel(t("DKIM signature"), html.p({"className": "quiet"}, note), record, html.div({"className": "actions"}, again))


def making_key(account: str) -> Do:
    def do(context: PageContext) -> None:
        account_admin.make_signing_key(accounts_of(context), account, context.by, context.app.real_now())

    return do


def changing(row: ProviderAccount, kind: type[ConfiguredProvider]) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        given = account_form.values_of(kind, values)
        with placed():
            account_admin.change(accounts_of(context), row.account, given, row.revision, context.by, context.app.real_now())

    return do


def testing(account: str) -> Do:
    def do(context: PageContext) -> None:
        account_admin.try_out(accounts_of(context), account, context.by, context.app.real_now())

    return do


def removal(context: PageContext, data: Data, acts: Acts) -> Element:
    """Asks, says what goes through the account, and offers to undo it."""
    if not context.may("account.manage"):
        return None
    t = context.t
    question = t("Nothing is sent through “{name}” any more.", name=data.account)
    if data.reading is not None:
        question = t("No mail is read from “{name}” any more.", name=data.account)
    if data.alone:
        named = ", ".join(t(CHANNELS.get(channel, channel)) for channel in data.alone)
        question += " " + t("It is used for: {channels}. Those messages will stay in the outbox and will not be delivered.", channels=named)
    handler = acts.act("account.manage", removing(data.account, data.alone), "Account removed.", undo=taking_back(data.account))
    note = t("You can restore a removed account within seven days; then its secrets are deleted.")
    asking = components.ask(t("Remove"), question, t("Remove"), handler, "ban", "danger")
    return panel(t("Remove"), html.p({"className": "quiet"}, note), html.div({"className": "actions"}, asking))


def removing(account: str, asked: Sequence[str]) -> Do:
    """Removes it, unless it carries something that was not in the question."""

    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            now_carried = set(rows.alone(rows.lines(session), account))
            rows.remove(session, account, context.by, context.app.real_now(), anyway=now_carried <= set(asked))

    return do


PAGE = Page(f"{ADDRESS}/{{account}}", "Provider account", "settings", "account.manage", load, view, stamp)
