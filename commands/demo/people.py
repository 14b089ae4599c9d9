"""The people of the demo, who are nobody: the twenty-four that the README speaks of, and a crowd from eight countries drawn from a seed.

Addresses end in `.example` or `example.org`, which no mail reaches (RFC 2606). Telephone numbers ring nowhere: from what is set aside for films
in Germany, Britain, America and France, and where nothing is, with a subscriber number that begins with a zero, which no exchange gives out.
"""

from __future__ import annotations

import hashlib
import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

Kind = Literal["regular", "newcomer", "sleeper", "dozing"]
"""Somebody who was there before the story and comes by; who signs up in it; who has not been seen for long; who is asked next Monday."""
NEVER = datetime.max.replace(tzinfo=UTC)
Reader = Literal["keen", "usual", "cold", "machine"]
"""How somebody deals with mails: `machine` has a mail program that fetches every picture before anybody looks."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the demo. `days`: since they were first and last seen; `done`: (event, days ago, properties), before the story."""

    user_id: str
    first_name: str
    last_name: str
    locale: str
    timezone: str
    stage: str = "lead"
    days: tuple[float, float] = (30, 2)
    score: float = 0
    consents: str = "granted"
    tags: tuple[str, ...] = ()
    done: tuple[tuple[str, float, dict[str, Any]], ...] = ()
    domain: str = ""
    phone: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "regular"
    reader: Reader = "usual"
    id: str = ""
    """Of the contact, once it is known when they came."""
    came: datetime = NEVER

    @property
    def email(self) -> str:
        return f"{self.user_id}@{self.domain or ('shop' if self.stage == 'customer' else 'mail') + '.example.org'}"


_ZURICH, _BERLIN, _VIENNA, _LONDON, _NEW_YORK = "Europe/Zurich", "Europe/Berlin", "Europe/Vienna", "Europe/London", "America/New_York"


def _order(days: int, total: float) -> tuple[str, int, dict[str, Any]]:
    return "Order Completed", days, {"order_id": f"demo-{days}-{total:.0f}", "total": total, "currency": "CHF"}


def _visit(days: int, product: str) -> tuple[str, int, dict[str, Any]]:
    return "Product Viewed", days, {"product_id": product.lower().replace(" ", "-"), "name": product, "price": 89.0, "currency": "CHF"}


PEOPLE: Sequence[Person] = (
    # Active, in both languages and several time zones
    Person(
        "anna", "Anna", "Meier", "de-CH", _ZURICH, "customer", (400, 1), 45, tags=("vip",), done=(_order(20, 240.0), _visit(1, "Rucksack"))
    ),
    Person("ben", "Ben", "Huber", "de-AT", _VIENNA, "lead", (40, 3), 30, done=(_visit(3, "Zelt"),)),
    Person("carla", "Carla", "Rossi", "de-CH", _ZURICH, "lead", (25, 2), 55, done=(_visit(2, "Schlafsack"), _visit(9, "Zelt"))),
    Person("daniel", "Daniel", "Schmidt", "de-DE", _BERLIN, "customer", (300, 6), 20, done=(_order(45, 59.9),)),
    Person("emma", "Emma", "Wright", "en-GB", _LONDON, "lead", (18, 1), 62, done=(_visit(1, "Backpack"),)),
    Person("felix", "Felix", "Baumann", "de-CH", _ZURICH, "lead", (60, 8), 15),
    Person("grace", "Grace", "Hill", "en-US", _NEW_YORK, "customer", (200, 4), 35, done=(_order(12, 130.0),)),
    Person("hannah", "Hannah", "Vogel", "de-DE", _BERLIN, "lead", (10, 1), 10, done=(_visit(1, "Kocher"),)),
    Person("ivan", "Ivan", "Novak", "en-GB", _VIENNA, "lead", (35, 5), 25),
    Person(
        "julia",
        "Julia",
        "Frei",
        "de-CH",
        _ZURICH,
        "mql",
        (90, 2),
        75,
        tags=("newsletter",),
        done=(_visit(2, "Zelt"), _visit(4, "Rucksack")),
    ),
    Person("karim", "Karim", "Aziz", "en-GB", _LONDON, "lead", (14, 2), 70, done=(_visit(2, "Tent"),)),
    Person("lena", "Lena", "Koch", "de-DE", _BERLIN, "sql", (150, 3), 88),
    # Long not seen: the re-engagement journey finds these on Monday morning
    Person("marco", "Marco", "Bianchi", "de-CH", _ZURICH, "customer", (500, 120), 12, done=(_order(180, 75.0),), kind="dozing"),
    Person("nina", "Nina", "Weber", "de-DE", _BERLIN, "lead", (240, 140), 5, done=(_visit(140, "Zelt"),), kind="dozing"),
    Person("oliver", "Oliver", "Stone", "en-US", _NEW_YORK, "customer", (420, 200), 8, done=(_order(210, 310.0),), kind="dozing"),
    Person("paula", "Paula", "Gruber", "de-AT", _VIENNA, "lead", (180, 100), 3, kind="dozing"),
    Person("quentin", "Quentin", "Moore", "en-GB", _LONDON, "lead", (365, 95), 9, done=(_visit(95, "Boots"),), kind="dozing"),
    # Not to be written to, for one reason or another
    Person("rita", "Rita", "Steiner", "de-CH", _ZURICH, "lead", (50, 10), 20, consents="withdrawn"),
    Person("stefan", "Stefan", "Lang", "de-DE", _BERLIN, "lead", (20, 4), 18, consents="pending"),
    Person("tara", "Tara", "Singh", "en-GB", _LONDON, "customer", (320, 15), 22, consents="", done=(_order(60, 45.0),)),
    Person("urs", "Urs", "Zbinden", "de-CH", _ZURICH, "lead", (260, 130), 2, tags=("sunset",)),
    # New
    Person("vera", "Vera", "Lindt", "de-CH", _ZURICH, "lead", (3, 1), 8),
    Person("will", "Will", "Turner", "en-US", _NEW_YORK, "lead", (2, 1), 6),
    Person("yara", "Yara", "Haddad", "en-GB", _LONDON, "lead", (1, 0), 4, done=(_visit(0, "Headlamp"),)),
)
"""The README names Julia, who needs ten points more, and Marco, whom the next look on Monday finds with four others."""


@dataclass(frozen=True, slots=True)
class _Country:
    """`share`: in a hundred. `phone`: a number with its last digits open; `locales`: drawn from, as often as they stand there."""

    share: int
    code: str
    locales: tuple[str, ...]
    timezone: str
    phone: str
    cities: tuple[str, ...]
    first: tuple[str, ...]
    last: tuple[str, ...]


_COUNTRIES = (
    _Country(
        36, "DE", ("de-DE",), _BERLIN, "+493023125{:03}", ("Berlin", "Hamburg", "Köln", "Leipzig", "München", "Freiburg", "Kassel"),
        ("Antje", "Björn", "Charlotte", "Dennis", "Elif", "Frieda", "Gregor", "Heike", "Jannik", "Katharina", "Leon", "Malte", "Mehmet",
         "Neele", "Ole", "Petra", "Rasmus", "Sabine", "Tim", "Ulrike", "Wiebke", "Yusuf"),
        ("Ahrens", "Becker", "Brandt", "Demir", "Engel", "Fuchs", "Hartmann", "Jansen", "Krämer", "Krüger", "Lorenz", "Mertens", "Neumann",
         "Otto", "Pohl", "Richter", "Schäfer", "Seidel", "Thiele", "Voigt", "Wolff", "Yılmaz"),
    ),
    _Country(
        22, "CH", ("de-CH", "de-CH", "de-CH", "de-CH", "fr-CH", "it-CH"), _ZURICH, "+41440000{:03}", ("Zürich", "Bern", "Basel", "Luzern", "Chur", "Thun"),
        ("Andrin", "Barbara", "Corina", "Dario", "Flurina", "Gian", "Jonas", "Ladina", "Lars", "Mirjam", "Nadia", "Pascal", "Reto", "Seraina", "Silvan"),
        ("Aebischer", "Ammann", "Brunner", "Caduff", "Favre", "Gerber", "Hofer", "Imhof", "Keller", "Lüthi", "Maurer", "Niederberger", "Schmid", "Tobler", "Wüthrich"),
    ),
    _Country(
        18, "AT", ("de-AT",), _VIENNA, "+4310000{:03}", ("Wien", "Graz", "Linz", "Salzburg", "Innsbruck"),
        ("Alois", "Birgit", "Christoph", "Doris", "Florian", "Gerlinde", "Hannes", "Johanna", "Kathrin", "Lukas", "Manuela", "Thomas", "Verena"),
        ("Aigner", "Berger", "Ebner", "Fellner", "Haas", "Hofbauer", "Kofler", "Leitner", "Moser", "Pichler", "Reiter", "Steininger", "Wallner"),
    ),
    _Country(
        9, "GB", ("en-GB",), _LONDON, "+442079460{:03}", ("London", "Leeds", "Bristol", "Edinburgh"),
        ("Aisha", "Callum", "Eleanor", "George", "Harriet", "Isla", "Oscar", "Poppy", "Priya", "Rhys"),
        ("Adeyemi", "Barnes", "Clarke", "Fraser", "Hughes", "Khan", "Lloyd", "Murray", "Patel", "Shaw"),
    ),
    _Country(
        6, "US", ("en-US",), _NEW_YORK, "+12125550{:03}", ("Boston", "Denver", "Portland", "Austin"),
        ("Ashley", "Brandon", "Camila", "Ethan", "Jasmine", "Logan", "Megan"),
        ("Carter", "Flores", "Jenkins", "Kowalski", "Nguyen", "Reed", "Washington"),
    ),
    _Country(
        4, "FR", ("fr-FR",), "Europe/Paris", "+33199000{:03}", ("Lyon", "Nantes", "Strasbourg"),
        ("Amélie", "Bastien", "Chloé", "Hugo", "Manon"), ("Blanchard", "Chevalier", "Girard", "Lefèvre", "Moreau"),
    ),
    _Country(
        3, "IT", ("it-IT",), "Europe/Rome", "", ("Milano", "Torino", "Verona"),
        ("Chiara", "Davide", "Giulia", "Matteo"), ("Conti", "Ferrara", "Greco", "Marchetti"),
    ),
    _Country(
        2, "NL", ("nl-NL",), "Europe/Amsterdam", "", ("Utrecht", "Groningen"), ("Anouk", "Bram", "Fleur"), ("de Jong", "Smit", "Visser"),
    ),
)  # fmt: skip
_FIRST_PHONE: Mapping[str, int] = {"US": 100}
"""555-0100 to 555-0199 are the hundred numbers that nobody has."""
_COMPANIES = (
    "Alpenblick Reisen", "Baumgart Holzbau", "Bergwerk Agentur", "Blattgold Papeterie", "Brightwater Studio", "Café Morgenrot", "Feldmann Optik", "Gletscher Sport",
    "Harbour & Sons", "Kletterhalle Nordwand", "Lindenhof Apotheke", "Maison Verte", "Nordlicht Energie", "Pinecrest Outfitters", "Quellwasser Brauerei",
    "Seeblick Hotel", "Sonnendeck Solar", "Talwind Logistik", "Waldläufer Verein", "Zimmerei Zeller",
)  # fmt: skip
_READERS: Sequence[Reader] = ("keen", "keen", "usual", "usual", "usual", "usual", "cold", "cold", "machine", "machine")
DEAD = "closed.example"
"""Mails to this domain bounce."""


def crowd(size: int, weeks: int, seed: str) -> tuple[Person, ...]:
    """So many people, the same for the same seed. A third and more of them signs up within the `weeks`, a sixth has not been seen for long."""
    rng, taken = random.Random(seed), {person.user_id for person in PEOPLE}
    return tuple(_somebody(rng, number, weeks, taken) for number in range(size))


def _somebody(rng: random.Random, number: int, weeks: int, taken: set[str]) -> Person:
    country = rng.choices(_COUNTRIES, [one.share for one in _COUNTRIES])[0]
    first, last, user_id = next(_names(rng, country, taken))
    taken.add(user_id)
    kind: Kind = ("newcomer", "regular", "newcomer", "regular", "newcomer", "sleeper")[number % 6]
    company = rng.choice(_COMPANIES) if rng.random() < 0.6 else ""
    stage = "customer" if kind != "newcomer" and rng.random() < 0.55 else "lead"
    domain = (
        DEAD
        if number in (10, 50)
        else f"{slug(company)}.example"
        if company
        else rng.choice(("mail.example", "post.example", "inbox.example"))
    )
    phone = country.phone.format(_FIRST_PHONE.get(country.code, 0) + number % 100) if country.phone and rng.random() < 0.6 else None
    more = {"city": rng.choice(country.cities), "country": country.code} | ({"company": company} if company else {})
    days = _seen(rng, kind, weeks)
    return Person(
        user_id, first, last, rng.choice(country.locales), country.timezone, stage, days, score=_points(rng, kind), consents=_consents(rng, kind),
        tags=_tags(rng, stage), done=_past(rng, stage, kind, days, number), domain=domain, phone=phone, more=more, kind=kind, reader=rng.choice(_READERS),
    )  # fmt: skip


def _names(rng: random.Random, country: _Country, taken: set[str]) -> Iterator[tuple[str, str, str]]:
    while True:
        first, last = rng.choice(country.first), rng.choice(country.last)
        if (user_id := f"{slug(first)}.{slug(last)}") not in taken:
            yield first, last, user_id


def arrived(person: Person, came: datetime, drawn: Callable[[str], bool]) -> Person:
    """The person with an id that grows with time, as ids do. Splits and hold-outs are drawn from it, and `drawn` says whether they come out as the
    demo wants them: so they do every time."""
    begin = f"{int(came.timestamp() * 1_000):012x}"
    ids = (begin + hashlib.sha256(f"{person.user_id}:{number}".encode()).hexdigest()[:20] for number in count())
    return replace(person, came=came, id=next(id for id in ids if drawn(id)))


def slug(text: str) -> str:
    """As people write names into addresses: `Krämer & Söhne` -> `kraemer-soehne`."""
    for letter, spelt in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("ı", "i")):
        text = text.lower().replace(letter, spelt)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _seen(rng: random.Random, kind: Kind, weeks: int) -> tuple[float, float]:
    """Days since somebody was first and last seen before the story. Each week some sleepers come to the ninety days after which they are asked."""
    if kind == "newcomer":
        return 0, 0
    first = rng.uniform(weeks * 7 + 60, 700)
    return (first + 120, rng.uniform(98, 90 + weeks * 7)) if kind == "sleeper" else (first, weeks * 7 + rng.uniform(0.5, 20))


def _points(rng: random.Random, kind: Kind) -> float:
    return 0 if kind == "newcomer" else float(rng.randrange(0, 12 if kind == "sleeper" else 45, 5))


def _consents(rng: random.Random, kind: Kind) -> str:
    """How somebody answers whether they want mails. Who signs up in the story is asked to confirm it, and some never do."""
    ways = ("granted", "pending", "") if kind == "newcomer" else ("granted", "withdrawn", "")
    return rng.choices(ways, (84, 10, 6))[0]


def _tags(rng: random.Random, stage: str) -> tuple[str, ...]:
    """English words for translation."""
    found = [tag for tag, share in (("newsletter", 0.35), ("trade fair", 0.15), ("partner", 0.06)) if rng.random() < share]
    return (*found, *(("vip",) if stage == "customer" and rng.random() < 0.2 else ()))


def _past(
    rng: random.Random, stage: str, kind: Kind, days: tuple[float, float], number: int
) -> tuple[tuple[str, float, dict[str, Any]], ...]:
    if stage != "customer":
        return ()
    first, last = days
    found = sorted(rng.uniform(last, first) for _ in range(rng.randint(1, 3)))
    return tuple(
        ("Order Completed", ago, order(f"demo-{number}-{n}", rng.choice((39.0, 59.9, 89.0, 129.0, 210.0)))) for n, ago in enumerate(found)
    )


def order(order_id: str, total: float, **more: Any) -> dict[str, Any]:
    """The properties of an order."""
    return {"order_id": order_id, "total": total, "currency": "EUR", **more}
