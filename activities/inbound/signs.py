"""By what mails give themselves away: bounces without a machine-readable part, automatic answers, and what status codes mean.

Sources: RFC 3463 and IANA "SMTP Enhanced Status Codes", RFC 3834 (automatic responses), Microsoft "X-Auto-Response-Suppress", and the texts of
Postfix, Exim, qmail, Exchange and the large mailbox providers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from activities.inbound.mime import Part

Fate = Literal["bounced", "soft_bounced", "failed"]

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_REPLY = re.compile(r"(?<![\d.])([45])\d\d(?=[ -])")
HARD: Mapping[str, frozenset[str]] = {
    "1": frozenset({"0", "1", "2", "3", "4", "6", "9", "10"}),
    "2": frozenset({"1"}),
}
"""Subject -> details of 5.x.x codes by which the address is dead: it does not exist, takes no mail (null MX), or is closed."""
THIS_MESSAGE = frozenset({"3", "4", "5", "6", "7"})
"""Subjects of 5.x.x codes that blame the system, the way, the message or a policy: the address may be fine."""
NOBODY = re.compile(
    r"user unknown|unknown user|no such (user|recipient|mailbox|address|person)|does ?n.t exist|does not exist|not exist|invalid recipient|recipient invalid"
    r"|(mailbox|address|account|recipient|user)( \S{1,80})? (not found|unknown|is unavailable|unavailable|is disabled|disabled|is inactive|has been disabled)"
    r"|unrouteable address|address rejected|recipient rejected|unknown (address|recipient|local)|no mailbox here|not a known user"
    r"|existiert nicht|unbekannter (empfänger|benutzer)|adresse unbekannt|n.existe pas|destinataire inconnu|non esiste|sconosciuto",
    re.IGNORECASE,
)
"""How servers say that there is nobody of that name."""
FULL = re.compile(
    r"(mailbox|quota|inbox|postfach)[^.\n]{0,40}(full|exceeded|voll|überschritten)|over ?quota|boîte pleine|casella piena", re.IGNORECASE
)
BOUNCER = re.compile(r"(mailer-daemon|postmaster|mail-?daemon|maildaemon|mailsystem|mail\.system|bounces?)@", re.IGNORECASE)
RETURNED = re.compile(
    r"undeliver|delivery (status notification|failure|has failed|failed|incomplete)|failure notice|returned (mail|to sender)|mail delivery (failed|system)"
    r"|could not be delivered|delivery report|unzustellbar|nicht zugestellt|zustellung fehlgeschlagen|fehlgeschlagene zustellung|non remis|non distribu|échec d"
    r"|mancata consegna|non recapitat|impossibile recapitare|unable to deliver",
    re.IGNORECASE,
)
DELAYED = re.compile(
    r"\bdelay|warning: (message|could not)|verzöger|noch nicht zugestellt|still trying|différ|retard|ritardo|will (re)?try", re.IGNORECASE
)
AUTOMATIC = re.compile(
    r"^\W{0,3}(auto(matic(ally)?|matisiert|matisch|matique|matica)?[ -]?(reply|response|answer|antwort|réponse|risposta|generated|replied)"
    r"|automat\w{1,8} (antwort|reply|response)|abwesenheits|out of (the )?office|réponse automatique|risposta automatica|autoreply|auto:)",
    re.IGNORECASE,
)
"""How the subjects of automatic answers begin, whatever mail they answer."""
AWAY = re.compile(
    r"^\W{0,3}(ooo\b|away from|i am (away|out)|on (holiday|vacation|leave)|abwesen|ich bin (nicht im|bis|im urlaub|abwesend)|im urlaub|nicht im (büro|haus)"
    r"|urlaubs|absence|absent|en congé|hors du bureau|en vacances|fuori (sede|ufficio)|assente|assenza|in ferie|vacation)",
    re.IGNORECASE,
)
"""How they begin in English, German, French and Italian where they do not repeat our subject, which may speak of holidays itself."""
REPLY_PREFIX = re.compile(r"^\s*((re|aw|antw|tr|wg|fw|fwd|rif|r|i|sv|vs)(\[\d+\])?\s*:\s*)+", re.IGNORECASE)


def fate_of(status: str, diagnostic: str) -> tuple[Fate, str]:
    """What the failed delivery means for the address, and a code for it. `status`: the enhanced code (`5.1.1`), else it is looked for in `diagnostic`,
    the words of the server."""
    found = _STATUS.search(status) or _STATUS.search(diagnostic)
    inner = _STATUS.search(diagnostic)
    if found and found[3] == found[2] == "0" and inner:
        found = inner  # "5.0.0" of the report; the server itself said more
    code = f"dsn_{found[0]}" if found else "dsn_unknown"
    group, subject, detail = found.groups() if found else (_group_of(diagnostic), "0", "0")
    if group != "5":
        return "soft_bounced", code
    if detail in HARD.get(subject, frozenset()) and not (subject == "1" and detail == "0" and FULL.search(diagnostic)):
        return "bounced", code
    if subject == "0" and NOBODY.search(diagnostic):
        return "bounced", code
    return ("failed" if subject in THIS_MESSAGE else "soft_bounced"), code


def _group_of(diagnostic: str) -> str:
    found = _REPLY.search(diagnostic)
    if found:
        return found[1]
    return "5" if NOBODY.search(diagnostic) else "4"


def looks_returned(mail: Part, sender: str, subject: str) -> bool:
    """Whether it reads like a bounce, although no part of it is one by its type."""
    return bool(BOUNCER.match(sender) or not sender) and bool(RETURNED.search(subject) or DELAYED.search(subject))


def is_automatic(mail: Part, sender: str, subject: str) -> bool:
    """Whether a program wrote it: an out-of-office note, a ticket's receipt, a list."""
    said = mail.header("auto-submitted").strip().lower()
    precedence = mail.header("precedence").strip().lower()
    marks = (
        "x-autoreply",
        "x-autorespond",
        "x-autoresponder",
        "x-auto-response-suppress",
        "x-mail-autoreply",
        "list-id",
        "x-loop",
        "feedback-id",
    )
    return (
        (bool(said) and not said.startswith("no"))
        or precedence in ("bulk", "junk", "list", "auto_reply", "auto-reply")
        or any(mail.header(name) for name in marks)
        or mail.header("return-path").replace(" ", "") == "<>"
        or bool(BOUNCER.match(sender))
        or bool(re.match(r"(no-?reply|do-?not-?reply)@", sender, re.IGNORECASE))
        or bool(AUTOMATIC.match(REPLY_PREFIX.sub("", subject)))
        or bool(AWAY.match(subject))
    )
