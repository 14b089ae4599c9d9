from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from journeys.nodes.send import SendTemplate
from journeys.types import Key, Span
from journeys.values import Answer, Context


class SendInApp(SendTemplate):
    """Puts a message into the contact's inbox on your website or in your app.

    The contact sees it at the next visit, or at once while your site is open; it counts as opened when it is read there. It passes
    the same gate as an e-mail: consent, suppression, quiet hours and frequency caps. After the time set here it is no longer shown,
    read or not.
    """

    kind = "send_in_app"
    label = "Send in-app message"
    icon = "layout"
    keywords = "inbox website app notification message center banner"
    effect_channel = "in_app"
    example = {"template": "new-in-app"}

    template: Key = Field(title="Template", json_schema_extra={"widget": "template", "channel": "in_app", "names": "template"})
    shown_for: Annotated[
        Span,
        Field(ge=timedelta(minutes=1), le=timedelta(days=365), title="Shown for", description="From one minute to a year."),
    ] = timedelta(days=30)

    def enter(self, ctx: Context) -> Answer:
        return self._do(ctx, template=self.template, lifetime_seconds=int(self.shown_for.total_seconds()))
