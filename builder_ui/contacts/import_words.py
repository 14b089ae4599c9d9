"""What the problems of an import are called, in the language of whoever looks."""

from __future__ import annotations

from builder_ui.kit.i18n import Translator
from crm.imports import imports
from crm.people import contacts


def reasons(t: Translator) -> dict[str, str]:
    """Code of a problem -> sentence, and the words of the two columns of the file of such rows."""
    sentences = {**contacts.REASONS, **imports.REASONS}
    return {code: t(text) for code, text in sentences.items()} | {"line": t("Line"), "reason": t("Reason")}
