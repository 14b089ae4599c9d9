"""One workspace setting: admins change it, everybody may read it. The form comes out of the setting's own shape."""

from __future__ import annotations

from dataclasses import dataclass

from builder_ui.kit import components, forms
from builder_ui.kit.actor_names import member_names, places
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings import logo, topics
from builder_ui.settings.fields import controls
from builder_ui.settings.sections import SECTIONS, framed, panel
from engine.versions.uses import uses_of_removed
from journeys.errors import Invalid
from models import WorkspaceSetting
from workspace import listed_names, settings

LEADS = {
    "sender": "Who the messages are from.",
    "senders": "Whom steps can send as. A sender can be chosen once the page “Sending domains” has found the account's key in the DNS of its domain.",
    "seed_list": "Mailboxes at several providers that your team reads. “Send to seed list” beside a template sends one copy to each, so that you see where it lands before everybody gets it.",
    "appearance": "Name, logo, colours and fonts: of the pages that contacts reach from a message, and of templates as brand.",
    "quiet_hours": "When contacts are not disturbed. Messages wait; they are not lost.",
    "frequency_caps": "The maximum number of messages a contact gets. Further messages wait.",
    "channel_rules": "How long one channel stays silent after something happened on another, such as no SMS after an e-mail was opened. Messages wait.",
    "hold_out": "A control group over all journeys: comparing it with everybody else shows what marketing achieves.",
    "calendar": "Task deadlines count only these hours.",
    "purposes": "What contacts say yes or no to. Journeys can only use the purposes listed here. Existing consents are kept, whatever the list says.",
    "consent_expiry": "How long a consent counts without a sign of interest: a message that the contact opened or clicked, an order, or a new yes. Nothing expires until you add a purpose. The law names no period: a German court held 18 months without use to be too long, the highest one knows no fixed limit. 24 months (730 days) are common.",
    "topics": "What your messages are about, such as product news or events. Contacts choose among them on the preference page; templates and steps name one.",
    "double_opt_in": "Whoever signs up gets an e-mail with a link, and is a subscriber once it is confirmed.",
    "complaints": "What follows when somebody reports a message as spam. The address gets nothing more on that channel in any case.",
    "sending_limits": "From how many bounces and complaints on a provider account sends less marketing, or none. Other messages still leave.",
    "retention": "How long data about contacts is kept. A daily job deletes what is older; see “Background jobs”.",
    "score_groups": "What points are collected for. Journeys can only use the scores listed here.",
    "companies": "Whether e-mail addresses say which company a contact belongs to, and the currency of revenue.",
    "tracking": "Whether clicks and opens are counted.",
    "link_parameters": "Added to the links of messages, so that the statistics of your website tell where visitors come from. A template may say something else. Links that have campaign parameters, and those to unsubscribe or to preferences, stay as they are.",
    "access": "How long a log-in lasts, and who needs an authenticator app.",
    "notices": "Who is notified, and how, when runs are stuck or a provider account is not accepting messages.",
}


ANYWAY = "anyway"
AT_ONCE = frozenset({"access", "companies", "seed_list", "appearance", "notices", "retention", "complaints", "sending_limits"})
"""What says nothing about messages to contacts, and so does not wait for the next one."""


@dataclass(frozen=True, slots=True)
class Data:
    name: str
    setting: settings.Setting
    row: WorkspaceSetting | None
    names: dict[str, str]
    unlisted: list[str]
    """Names that contacts have and the list has not."""


def load(context: PageContext) -> Data:
    return load_named(context, context.arguments["name"])


def load_named(context: PageContext, name: str) -> Data:
    with context.engine.db.read() as session:
        setting = settings.get(session, name)
        return Data(name, setting, session.get(WorkspaceSetting, name), member_names(session), listed_names.unlisted(session, name))


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    title = next(text for address, text, _ in SECTIONS if address.endswith(f"/{data.name}"))
    return framed(
        context,
        title,
        LEADS[data.name],
        form(context, data, acts),
        others(context, data, acts),
        *(one.panel_of(context, data.setting) for one in (logo, topics)),
    )


def form(context: PageContext, data: Data, acts: Acts) -> Element:
    """The setting's form, with who changed it last."""
    t, row = context.t, data.row
    fields = [field for one in controls(t, data.name, data.setting).values() for field in one.fields]
    if question := acts.drafts.get(f"ask.{data.name}"):
        fields.append(forms.Field(ANYWAY, t("Remove anyway"), "checkbox", hint=question))
    generation = row.updated_at.isoformat() if row else ""
    done = "Saved." if data.name in AT_ONCE else "Saved. It applies from the next message on."
    act = "access.change" if data.name == "access" else "setting.change"  # who logs in how weighs more
    made = forms.form(context, acts, data.name, fields, t("Save"), act, saving(data, acts), done, generation)
    return html.section({"className": "panel"}, made, changed(context, data))


def others(context: PageContext, data: Data, acts: Acts) -> Element:
    """What contacts have and no journey can use, each with a button that lists it."""
    if not data.unlisted:
        return None
    t = context.t
    lines = [
        html.li(
            {"key": key},
            html.code(key),
            " ",
            components.button(t("Add"), acts.act("setting.change", listing(data.name, key), "Saved."), "plus")
            if context.may("setting.change")
            else None,
        )
        for key in data.unlisted
    ]
    lead = html.p({"className": "quiet"}, t("These came from the API or a file. They are kept, but no journey can use them."))
    return panel(t("Used, but not in the list"), lead, html.ul({"className": "lines"}, lines))


def listing(name: str, key: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            listed_names.add(session, name, key, context.by, context.app.now())

    return do


def changed(context: PageContext, data: Data) -> Element:
    t, row = context.t, data.row
    if row is None:
        return html.p({"className": "quiet"}, t("Not changed yet: these are the defaults."))
    by = data.names.get(row.updated_by.removeprefix("member:"), row.updated_by)
    return html.p({"className": "quiet"}, t("Changed by {name},", name=by), " ", components.moment(t, row.updated_at))


def saving(data: Data, acts: Acts) -> forms.Change:
    """Reads the values with the controls that drew the form; what journeys use is taken away only by whoever was told where, and said so."""

    def do(context: PageContext, values: forms.Values) -> None:
        kept = data.setting.model_dump(mode="json")  # what has no field here stays
        value = kept | {key: one.read(values) for key, one in controls(context.t, data.name, data.setting).items()}
        asked = acts.drafts.pop(f"ask.{data.name}", "")
        with context.engine.db.write() as session:
            before = settings.get(session, data.name)
            after = settings.put(session, data.name, value, context.by, context.app.now())
            if used := uses_of_removed(context.engine, session, before, after):
                gone = ", ".join(sorted(before.offers() - after.offers()))
                question = context.t("Live journeys use {names}: {steps}.", names=gone, steps=places(used))
                if values.get(ANYWAY) != "on" or question != asked:
                    acts.drafts[f"ask.{data.name}"] = question
                    raise Invalid("Live journeys use what you are removing: nothing has been saved yet. Confirm at the end of the form.")

    return do


PAGE = Page("/ui/settings/workspace/{name}", "Settings", "settings", "setting.read", load, view)
