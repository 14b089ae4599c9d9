from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pydantic import Field, model_validator

from journeys.errors import Unfilled
from journeys.nodes.send import Send
from journeys.placeholders import coupon_pools
from journeys.types import Key
from journeys.values import Answer, Context


class SendSms(Send):
    """Sends a text message to the contact, from a template or written here.

    It passes the same gate as an e-mail: valid number, consent, suppression, quiet hours and frequency caps. A text
    written here can use the same values as a template: `{{ contact.first_name }}`, `{{ trigger.cart_id }}`,
    `{{ coupon("spring") }}`.
    """

    kind = "send_sms"
    label = "Send SMS"
    icon = "message-square"
    keywords = "text message mobile phone short message"
    effect_channel = "sms"
    example = {"text": "Your parcel arrives today, {{ contact.first_name }}."}

    template: Key | None = Field(None, title="Template", json_schema_extra={"widget": "template", "channel": "sms", "names": "template"})
    text: str | None = Field(
        None,
        title="Text",
        examples=["Your parcel arrives today, {{ contact.first_name }}."],
        min_length=1,
        max_length=1_600,
        json_schema_extra={"widget": "text"},
    )

    @model_validator(mode="after")
    def _template_or_text(self) -> Self:
        if self.template is None and self.text is None:
            raise Unfilled("“{field}” is still empty: write a text, or choose a template instead.", "text", field="Text")
        if self.template is not None and self.text is not None:
            raise ValueError("A text message needs either a template or a text.")
        return self

    def enter(self, ctx: Context) -> Answer:
        return self._do(ctx, template=self.template) if self.template else self._do(ctx, text=self.text)

    def references(self) -> Iterable[tuple[str, str, str]]:
        if self.template:
            yield "template", "template", self.template
        yield from (("text", "coupon_pool", pool) for pool in coupon_pools(self.text or ""))
