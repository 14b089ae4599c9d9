"""Campaign parameters: what is added to the links of a message, so that a website's statistics tell where a visitor comes from. Pure.

Source: Google Analytics, "Campaign URL builder": `utm_source`, `utm_medium`, `utm_campaign`, `utm_content`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from journeys.errors import Invalid, Issue
from journeys.spelling import one_line

NAMES = ("source", "medium", "campaign", "content")
PLACEHOLDERS = ("journey", "journey_name", "template", "template_name", "channel", "step")
"""What a pattern may hold in braces: keys, names, and the id of the step."""
MAX_PATTERN = 120
MAX_VALUE = 200
_PLACE = re.compile(r"\{([^{}]*)\}")
_BRACE = re.compile(r"[{}]")


def _checked(pattern: str) -> str:
    pattern = one_line(pattern)
    unknown = next((name for name in _PLACE.findall(pattern) if name not in PLACEHOLDERS), None)
    if unknown is not None or _BRACE.search(_PLACE.sub("", pattern)):
        raise ValueError("Only journey, journey_name, template, template_name, channel and step are filled in, each in braces.")
    return pattern


Pattern = Annotated[str, Field(max_length=MAX_PATTERN), AfterValidator(_checked)]
"""A text with places: `newsletter-{template}`. Empty: the parameter is not added."""


class LinkParameters(BaseModel):
    """What a template adds to its links. `mode`: `default` (what the settings of the workspace say when the message is written), `none`, or `own`: what follows."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["default", "none", "own"] = "default"
    source: Pattern = ""
    medium: Pattern = ""
    campaign: Pattern = ""
    content: Pattern = ""

    def stored(self) -> dict[str, str]:
        """As a template keeps it; empty for the default."""
        return self.model_dump(include={"mode", *NAMES} if self.mode == "own" else {"mode"}, exclude_defaults=True)


def typed(patterns: Mapping[str, str]) -> LinkParameters:
    """What somebody typed, as it is stored.

    Raises:
        Invalid: a pattern has other places, or is too long.
    """
    try:
        return LinkParameters.model_validate(patterns)
    except ValidationError:
        text = "Only journey, journey_name, template, template_name, channel and step are filled in, each in braces."
        raise Invalid("{problem}", problem=Issue(code="link_parameters", text=text)) from None


def filled(patterns: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """`utm_source` and so on -> its text, of patterns by the names of `NAMES`. What comes to nothing is left out."""
    texts = {f"utm_{name}": _PLACE.sub(lambda place: values.get(place[1], ""), patterns.get(name) or "") for name in NAMES}
    return {name: text for name, found in texts.items() if (text := one_line(found)[:MAX_VALUE])}
