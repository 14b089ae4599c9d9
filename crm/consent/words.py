"""Words by which people stop messages or want them again, in the languages of those we write to.

Only a whole message of such a word counts, or STOP with a word of courtesy: "please do not stop" is a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Intent = Literal["", "stop", "start"]

STOP = frozenset(
    [
        "stop", "stopp", "stopall", "stop all", "unsubscribe", "end", "quit", "revoke", "optout", "opt out", "cancel", "stop sms",
        "abmelden", "abmeldung", "abbestellen", "austragen", "loschen", "keine sms", "keine werbung",
        "arret", "arreter", "arretez", "stopper", "desabonner", "desabonnement", "desinscrire", "desinscription",
        "basta", "ferma", "fermare", "cancella", "cancellami", "disiscrivi", "disiscrivimi", "disdici", "annulla",
    ]
)  # fmt: skip
"""In lower case, without accents and signs. Source: Twilio "Support for opt-out keywords"; CTIA Messaging Principles 5.1.3; FCC 47 CFR
64.1200(a)(10) (any reasonable means); the German, French and Italian words are those of the networks there."""
START = frozenset(["start", "unstop", "anmelden", "demarrer", "reprendre", "inizia", "riprendi"])
"""Twilio counts YES, too; as an answer to a question it says nothing of the kind."""
FIRST = frozenset(["stop", "stopp"])
BESIDE = frozenset(
    [
        "please",
        "now",
        "it",
        "all",
        "texts",
        "texting",
        "messages",
        "me",
        "bitte",
        "jetzt",
        "werbung",
        "svp",
        "merci",
        "grazie",
        "per",
        "favore",
    ]
)
"""What may stand behind STOP without making another sentence of it; "stop by tomorrow" is one."""


def intent(text: str) -> Intent:
    """What a reply asks of us; empty: nothing that can be told by its words."""
    words = _plain(text[:200]).split()
    said = " ".join(words)
    if said in STOP or (words and words[0] in FIRST and BESIDE.issuperset(words[1:])):
        return "stop"
    return "start" if said in START else ""


def _plain(text: str) -> str:
    """Lower case, without accents, and with blanks for all signs; an apostrophe and a hyphen inside a word are signs like others."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return re.sub(r"[^a-z0-9]+", " ", bare)
