"""The form in which a message leaves where free text may only answer: free text, or what was approved beforehand.

A template has either or both (`journeys.channels.Approved`). The one that does not leave is not filled in, so that nothing it lacks stands in
the way of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from activities.rendering.compile import CompiledTemplate, Variant
from activities.rendering.kinds import KINDS
from journeys.channels import Approved


def in_form(template: CompiledTemplate, may_answer: bool) -> CompiledTemplate:
    """Each language in the form that leaves: free text where it may be sent (`may_answer`) and there is some, else what was approved. A language that
    has only the form that may not leave keeps it: whoever asks the gate is told so."""
    approved = KINDS[template.kind].approved
    if approved is None:
        return template
    return replace(template, variants={name: _formed(one, approved, may_answer) for name, one in template.variants.items()})


def _formed(variant: Variant, approved: Approved, may_answer: bool) -> Variant:
    has_text, has_approved = bool(variant.text.strip()), bool(variant.parts.get(approved.id))
    if has_approved and not (may_answer and has_text):
        return as_approved(variant, approved)
    return replace(variant, parts={name: part for name, part in variant.parts.items() if name not in approved.parts})


def as_approved(variant: Variant, approved: Approved) -> Variant:
    """The wording stands where the text does; id and values reach the provider as parts."""
    parts = {name: part for name, part in variant.parts.items() if name != approved.wording}
    return replace(variant, text=variant.parts.get(approved.wording, ""), parts=parts)


def is_free_text(kind: str, parts: Mapping[str, str]) -> bool:
    """Whether a message with these parts is one that may only answer."""
    approved = KINDS[kind].approved if kind in KINDS else None
    return approved is not None and not parts.get(approved.id)
