"""Several accounts for one channel: their order and shares, a part of the page of provider accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from activities import account_admin
from builder_ui.kit import forms
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.labels import CHANNELS
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import panel
from journeys.channels import DEFAULT
from journeys.errors import Invalid, Issue, NotFound
from workspace import accounts, sending_domains
from workspace.accounts import MOST_SHARING, Share

PLACES = ("1st account", "2nd account", "3rd account", "4th account", "5th account")
LEAD = (
    "Each account sends its share of the messages. If one is stopped or has reached its daily limit, the next in order "
    "sends in its place, but only messages that have certainly not been sent. Share 0: stands in for the others only."
)


def unproven(session: Session, lines: accounts.Lines) -> dict[str, list[str]]:
    """Account -> the domains of senders that it has no share of, because no check has found its key there; accounts without any are missing."""
    domains = sending_domains.listed(session)
    _, *others = lines.get(DEFAULT, [None])
    found = {
        one.account: [name for name in domains if f"@{name}" not in sending_domains.sent_from(session, one.account)]
        for one in others
        if one
    }
    return {account: missing for account, missing in found.items() if missing}


def section(
    context: PageContext, channel: str, line: Sequence[Share], able: Sequence[str], unproven: Mapping[str, Sequence[str]], acts: Acts
) -> Element:
    """The form of a channel that is carried, and that several accounts are `able` to send on."""
    t = context.t
    made = forms.form(
        context,
        acts,
        f"sharing.{channel}",
        fields_of(context, line, able),
        t("Save order and shares"),
        "account.manage",
        sharing(channel),
        "Saved. The change applies within a second.",
        str(line),
    )
    shown = unproven if channel == DEFAULT else {}
    return panel(
        t("Several accounts: {channel}", channel=t(CHANNELS[channel])),
        html.p({"className": "quiet"}, t(LEAD)),
        *[html.p({"key": account, "className": "notice"}, lacks(context, account, domains)) for account, domains in shown.items()],
        made,
    )


def lacks(context: PageContext, account: str, domains: Sequence[str]) -> str:
    return context.t(
        "{account} sends nothing from {domains} as long as no check has found its key there: see “Sending domains”.",
        account=account,
        domains=", ".join(domains),
    )


def fields_of(context: PageContext, line: Sequence[Share], able: Sequence[str]) -> list[forms.Field]:
    """An account and its share for each place; as many as there are accounts."""
    t, fields = context.t, []
    names = [*able, *(one.account for one in line if one.account not in able)]
    options = [("", t("no account")), *((account, account) for account in names)]
    for number, title in enumerate(PLACES[: len(names)]):
        one = line[number] if number < len(line) else Share("", 0)
        fields.append(forms.Field(f"account{number}", t(title), "select", one.account, options))
        share = str(one.share) if one.account else ""
        fields.append(forms.Field(f"share{number}", t("Share in percent"), "number", share, least=0, greatest=100))
    return fields


def sharing(channel: str) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        if context.app.accounts is None:
            raise NotFound("No account can be set up in this workspace: it never sends anything.")
        chosen = [number for number in range(MOST_SHARING) if values.get(f"account{number}")]
        line = [Share(values[f"account{number}"], share_of(number, values[f"share{number}"])) for number in chosen]
        account_admin.share(context.app.accounts, channel, line, context.by, context.app.real_now())

    return do


def share_of(number: int, typed: str) -> int:
    """An empty field is no share. Raises: Invalid."""
    if typed and not (typed.isascii() and typed.isdigit() and len(typed) <= 3):
        issue = Issue(
            code="account",
            text="Expected a number from {least} to {most}.",
            values={"least": "0", "most": "100"},
            field=f"share{number}",
        )
        raise Invalid("{problem}", [issue], problem=issue)
    return int(typed or 0)
