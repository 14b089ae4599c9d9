"""The domains that the workspace sends from: what their DNS says, what to paste where, and letting one carry marketing all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from activities.domains.admin import MEANINGS, check_domain
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings import sending_plan
from builder_ui.settings.provider_accounts import accounts_of
from builder_ui.settings.sections import framed, panel
from models import SendingDomain
from workspace import sending_domains

TITLE = "Sending domains"
LEAD = "What the DNS says about the domains of your senders. A domain with red marks carries no new marketing journey unless an administrator allows it."
NAMES = {
    "spf": "SPF",
    "dkim": "DKIM",
    "dmarc": "DMARC",
    "alignment": "Alignment",
    "mx": "Incoming mail (MX)",
    "return_path": "Return path",
    "reverse_dns": "Reverse DNS",
    "bimi": "BIMI",
}
LEVELS = {
    "good": ("In order", "good", "check"),
    "hint": ("Hint", "quiet", "circle"),
    "warn": ("Better", "warn", "alert"),
    "bad": ("Red", "bad", "ban"),
    "unknown": ("Unknown", "quiet", "clock"),
}


@dataclass(frozen=True, slots=True)
class Data:
    """`checks`: domain -> its last check for `account`, the one that carries e-mail."""

    account: str
    domains: list[str]
    checks: Mapping[str, SendingDomain]
    plans: Mapping[str, sending_plan.Found]


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        account = sending_domains.carrier(session)
        domains = sending_domains.listed(session)
        plans = {domain: sending_plan.load(context, session, f"@{domain}") for domain in domains}
        return Data(account, domains, sending_domains.checks(session, account), plans)


def stamp(context: PageContext) -> object:
    data = load(context)
    return data.account, data.domains, data.plans, [(row.domain, row.checked_at, tuple(row.allowed)) for row in data.checks.values()]


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    if not data.domains:
        return framed(context, TITLE, LEAD, components.empty("mail", t("No sender has an address yet: enter one under “Sender”."), None))
    if not data.account:
        return framed(context, TITLE, LEAD, components.empty("link", t("No provider account carries e-mail yet: choose one first."), None))
    return framed(context, TITLE, LEAD, *(domain_panel(context, data, domain, acts) for domain in data.domains), wide=True)


def domain_panel(context: PageContext, data: Data, domain: str, acts: Acts) -> Element:
    t, row = context.t, data.checks.get(domain)
    again = components.button(t("Check now"), acts.act("account.try", checking(domain), "Checked. See the result below."), "link")
    buttons = [again] if context.may("account.try") else []
    if row is None:
        note = html.p({"className": "quiet"}, t("Not checked yet."))
        return panel(domain, note, html.div({"className": "actions"}, *buttons), warm_up(context, data, domain, acts))
    red = sending_domains.red_codes(row) - set(row.allowed)
    if red and context.may("account.manage"):
        question = t("New journeys may send marketing from {domain}, although mailbox providers may refuse or hide it.", domain=domain)
        handler = acts.act("account.manage", allowing(data.account, domain), "Allowed.")
        buttons.append(components.ask(t("Allow anyway"), question, t("Allow anyway"), handler, "alert", "danger"))
    return panel(
        domain,
        html.p({"className": "quiet"}, t("Last check:"), " ", components.moment(t, row.checked_at), " ", html.code(data.account)),
        html.p({"className": "notice"}, t("An administrator allows marketing despite red marks.")) if row.allowed and not red else None,
        components.table(domain, [t(text) for text in ("Check", "Result", "What it means")], [cells(context, mark) for mark in row.marks]),
        records(context, row),
        html.div({"className": "actions"}, *buttons),
        warm_up(context, data, domain, acts),
    )


def warm_up(context: PageContext, data: Data, domain: str, acts: Acts) -> Element:
    t, plan = context.t, data.plans[domain]
    content = sending_plan.section(context, f"@{domain}", plan, acts)
    return html.details({"open": plan.plan is not None}, html.summary(t(sending_plan.TITLE)), content)


def cells(context: PageContext, mark: Mapping[str, str]) -> list[Element]:
    t = context.t
    text, tone, icon = LEVELS[mark["level"]]
    return [t(NAMES[mark["what"]]), components.badge(t(text), tone, icon), t(MEANINGS[mark["code"]])]


def records(context: PageContext, row: SendingDomain) -> Element:
    """What is missing in the DNS, ready to paste."""
    t = context.t
    missing = [mark for mark in row.marks if mark["value"]]
    if not missing:
        return None
    lines = [[html.code(mark["name"]), html.code(mark["type"]), html.code({"className": "wrap"}, mark["value"])] for mark in missing]
    title = t("Records to enter in the DNS")
    return html._(html.h3(title), components.table(title, [t(text) for text in ("Name", "Type", "Value")], lines))


def checking(domain: str) -> Do:
    def do(context: PageContext) -> None:
        check_domain(accounts_of(context), domain, context.by, context.app.real_now())

    return do


def allowing(account: str, domain: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            sending_domains.allow(session, account, domain, context.by)

    return do


PAGE = Page("/ui/settings/domains", TITLE, "settings", "account.read", load, view, stamp)
