"""The settings have several pages: which there are, who sees them, and the way from one to the next."""

from __future__ import annotations

from collections.abc import Iterable

from builder_ui.kit import components
from builder_ui.kit.context import PageContext
from builder_ui.kit.reactpy_compat import Element, html

SECTIONS: tuple[tuple[str, str, str], ...] = (
    ("/ui/settings", "My account", "me.read"),
    ("/ui/settings/users", "Users", "team.read"),
    ("/ui/settings/rotations", "Owner rotations", "team.read"),
    ("/ui/settings/workspace/sender", "Sender", "setting.read"),
    ("/ui/settings/workspace/senders", "Further senders", "setting.read"),
    ("/ui/settings/domains", "Sending domains", "account.read"),
    ("/ui/settings/workspace/seed_list", "Seed list", "setting.read"),
    ("/ui/settings/workspace/appearance", "Brand and public pages", "setting.read"),
    ("/ui/settings/workspace/quiet_hours", "Quiet hours", "setting.read"),
    ("/ui/settings/workspace/frequency_caps", "Frequency caps", "setting.read"),
    ("/ui/settings/workspace/channel_rules", "Rules between channels", "setting.read"),
    ("/ui/settings/workspace/hold_out", "Control group", "setting.read"),
    ("/ui/settings/workspace/purposes", "Consent purposes", "setting.read"),
    ("/ui/settings/workspace/consent_expiry", "Expiry of consents", "setting.read"),
    ("/ui/settings/workspace/topics", "Topics", "setting.read"),
    ("/ui/settings/workspace/double_opt_in", "Double opt-in", "setting.read"),
    ("/ui/settings/workspace/score_groups", "Scores", "setting.read"),
    ("/ui/settings/workspace/companies", "Companies", "setting.read"),
    ("/ui/settings/workspace/calendar", "Working hours", "setting.read"),
    ("/ui/settings/workspace/tracking", "Tracking", "setting.read"),
    ("/ui/settings/workspace/link_parameters", "Campaign parameters", "setting.read"),
    ("/ui/settings/workspace/complaints", "Complaints", "setting.read"),
    ("/ui/settings/workspace/sending_limits", "Bounce and complaint limits", "setting.read"),
    ("/ui/settings/workspace/retention", "Retention", "setting.read"),
    ("/ui/settings/workspace/access", "Login", "setting.read"),
    ("/ui/settings/notices", "Notices", "setting.read"),
    ("/ui/settings/work", "Background jobs", "work.read"),
    ("/ui/settings/accounts", "Provider accounts", "account.read"),
    ("/ui/settings/events", "Waiting events", "event.read_unrouted"),
    ("/ui/settings/keys", "Keys", "key.manage"),
    ("/ui/settings/secrets", "Secrets", "secret.list"),
    ("/ui/settings/audit", "Audit trail", "audit.read"),
)
"""(address, message id, the act of who sees it)"""


FOLDERS = ("/ui/settings/users", "/ui/settings/accounts")
"""Addresses with a page for each of their things below them."""


def framed(context: PageContext, title: str, lead: str, *content: Element, wide: bool = False) -> Element:
    """A page of the settings, below the list of all of them."""
    t = context.t
    return html._(
        components.head(t(title), t(lead) if lead else None),
        html.nav({"className": "tabs sections", "aria-label": t("Settings")}, _links(context)),
        html.div({"className": "settings wide" if wide else "settings"}, *content),
    )


def _links(context: PageContext) -> list[Element]:
    return [_link(context, address, text) for address, text in _seen(context)]


def _seen(context: PageContext) -> Iterable[tuple[str, str]]:
    return ((address, text) for address, text, act in SECTIONS if context.may(act))


def _link(context: PageContext, address: str, text: str) -> Element:
    here = context.path == address or (address in FOLDERS and context.path.startswith(f"{address}/"))
    attributes = {"href": address, "key": address, "className": "tab here" if here else "tab"}
    return html.a({**attributes, **({"aria-current": "page"} if here else {})}, context.t(text))


def panel(title: str, *content: Element) -> Element:
    return html.section({"className": "panel"}, html.h2(title), *content)


def barred(context: PageContext, title: str) -> Element:
    """What somebody sees whose role does not reach here."""
    return framed(context, title, "", components.empty("lock", context.t("Your role does not allow this."), None))
