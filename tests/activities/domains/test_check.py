"""The check of a sending domain: the real resolver against a DNS server on this machine, mark by mark, and answers that nobody should send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.message
import pytest

import activities.domains.check
from activities.domains.admin import MEANINGS
from activities.domains.check import Mark, check
from activities.domains.resolver import Found, Resolver
from activities.providers import SigningKey
from tests.broken import broken, load
from tests.dns_server import DnsServer, from_records, good_zone, serve, text

DOMAIN = "shop.example.org"
KEY = SigningKey("pfadwerk1", "v=DKIM1; k=rsa; p=" + "A1b2" * 90)
DKIM = (f"pfadwerk1._domainkey.{DOMAIN}", "TXT")
DMARC = (f"_dmarc.{DOMAIN}", "TXT")
IPV6 = "8.8.8.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.8.4.0.6.8.4.1.0.0.2.ip6.arpa"
TXT, MX = (DOMAIN, "TXT"), (DOMAIN, "MX")


@pytest.fixture(name="server", scope="module")
def fixture_server() -> Iterator[DnsServer]:
    with serve() as server:
        yield server


@pytest.fixture(autouse=True)
def zone(server: DnsServer) -> None:
    server.records = good_zone(DOMAIN, "pfadwerk1", KEY.value)
    server.raw.clear()
    server.asked.clear()


def resolver(server: DnsServer) -> Resolver:
    return Resolver([server.address], seconds=30)


def marks(server: DnsServer, key: SigningKey | None = KEY, host: str = "mail.example.net") -> dict[str, Mark]:
    found = check(DOMAIN, key, host, resolver(server).ask)
    assert {mark.code for mark in found} <= set(MEANINGS), "every code has its sentence"
    return {mark.what: mark for mark in found}


def test_a_domain_in_order_is_green_everywhere(server: DnsServer) -> None:
    found = marks(server)
    assert list(found) == ["spf", "dkim", "dmarc", "alignment", "mx", "return_path", "reverse_dns", "bimi"]
    assert {(mark.level, mark.value) for mark in found.values()} == {("good", "")}


CHANGED: list[tuple[dict[tuple[str, str], list[str]], dict[str, tuple[str, str]]]] = [
    ({TXT: [text("other")]}, {"spf": ("bad", "spf_none")}),
    ({TXT: [text("v=spf1 -all"), text("v=spf1 mx -all")]}, {"spf": ("bad", "spf_several")}),
    ({TXT: [text("v=spf10 -all")]}, {"spf": ("bad", "spf_none")}),
    ({TXT: [text("v=spf1 mx +all")]}, {"spf": ("bad", "spf_all")}),
    ({TXT: [text("v=spf1 mx all")]}, {"spf": ("bad", "spf_all")}),
    ({TXT: [text("v=spf1 mx")]}, {"spf": ("warn", "spf_open")}),
    ({TXT: [text("v=spf1 mx ?all")]}, {"spf": ("warn", "spf_open")}),
    ({TXT: [text("v=spf1 a:firewall")]}, {"spf": ("warn", "spf_open")}),
    (
        {TXT: [text("v=spf1 -all")], DKIM: []},
        {"spf": ("bad", "spf_nobody"), "dkim": ("bad", "dkim_none"), "alignment": ("bad", "alignment_none")},
    ),
    ({TXT: [text("v=spf1 -mx exp=why.example ~all")]}, {"spf": ("bad", "spf_nobody")}),
    ({TXT: [text("v=spf1 ip4:192.0.2.1 -all")]}, {"spf": ("good", "good")}),
    ({TXT: [text("V=SPF1 MX ~ALL")]}, {"spf": ("good", "good")}),
    ({TXT: [text("v=spf1 redirect=other.example")]}, {"spf": ("good", "good")}),
    ({TXT: [text("v=spf1 " + "a:a.example " * 10 + "-all")]}, {"spf": ("good", "good")}),
    ({TXT: [text("v=spf1 " + "a:a.example " * 11 + "-all")]}, {"spf": ("bad", "spf_lookups")}),
    (
        {TXT: [text("v=spf1 include:i.example " + "mx " * 4 + "-all")], ("i.example", "TXT"): [text("v=spf1 " + "exists:x " * 6 + "-all")]},
        {"spf": ("bad", "spf_lookups")},
    ),
    ({TXT: [text(f"v=spf1 include:{DOMAIN} -all")]}, {"spf": ("bad", "spf_lookups")}),  # a loop
    ({DKIM: []}, {"dkim": ("bad", "dkim_none"), "alignment": ("good", "good")}),
    ({DKIM: [text("v=DKIM1; k=rsa; p=other")]}, {"dkim": ("bad", "dkim_other")}),
    ({DKIM: [text("v=DKIM1; k=rsa; p=")]}, {"dkim": ("bad", "dkim_other")}),
    ({DKIM: [text(KEY.value), text("v=DKIM1; p=other")]}, {"dkim": ("bad", "dkim_other")}),
    ({DKIM: [text(KEY.value.replace("p=A1", "p=A 1").replace("; ", ";"))]}, {"dkim": ("good", "good")}),
    ({DKIM: [], TXT: []}, {"dkim": ("bad", "dkim_none"), "spf": ("bad", "spf_none"), "alignment": ("bad", "alignment_none")}),
    ({DMARC: []}, {"dmarc": ("bad", "dmarc_none"), "bimi": ("hint", "bimi_dmarc")}),
    ({DMARC: [text("v=DMARC1; p=none")]}, {"dmarc": ("warn", "dmarc_watches"), "bimi": ("hint", "bimi_dmarc")}),
    ({DMARC: [text("v=DMARC1; rua=mailto:x@y")]}, {"dmarc": ("bad", "dmarc_policy"), "bimi": ("hint", "bimi_dmarc")}),
    ({DMARC: [text("v=DMARC1; p=reject"), text("v=DMARC1; p=none")]}, {"dmarc": ("bad", "dmarc_several"), "bimi": ("hint", "bimi_dmarc")}),
    (
        {DMARC: [], ("_dmarc.example.org", "TXT"): [text("v=DMARC1; p=reject; sp=none")]},
        {"dmarc": ("warn", "dmarc_watches"), "bimi": ("hint", "bimi_dmarc")},
    ),
    ({DMARC: [], ("_dmarc.example.org", "TXT"): [text("v=DMARC1; p=quarantine")]}, {"dmarc": ("good", "good")}),
    ({DMARC: [], ("_dmarc.org", "TXT"): [text("v=DMARC1; p=reject")]}, {"dmarc": ("bad", "dmarc_none"), "bimi": ("hint", "bimi_dmarc")}),
    ({DMARC: [text("v=DMARC1; p=reject; sp=none")]}, {"dmarc": ("good", "good")}),
    ({DMARC: [text("v=DMARC1; p=reject"), text("other")]}, {"dmarc": ("good", "good")}),
    ({DMARC: [text("v=DMARC1; p=reject;")]}, {"dmarc": ("good", "good")}),
    ({MX: []}, {"mx": ("bad", "mx_none"), "return_path": ("bad", "return_path_lost")}),
    ({MX: ["0 ."]}, {"mx": ("bad", "mx_null"), "return_path": ("bad", "return_path_lost")}),
    ({("mail.example.net", "A"): ["10.0.0.7"]}, {"reverse_dns": ("hint", "reverse_private")}),
    ({("mail.example.net", "A"): []}, {"reverse_dns": ("hint", "reverse_nowhere")}),
    ({("mail.example.net", "A"): [], ("mail.example.net", "AAAA"): ["2001:4860:4860::8888"]}, {"reverse_dns": ("warn", "reverse_none")}),
    (
        {
            ("mail.example.net", "A"): [],
            ("mail.example.net", "AAAA"): ["2001:4860:4860::8888"],
            (IPV6, "PTR"): ["mail.example.net."],
        },
        {"reverse_dns": ("good", "good")},
    ),
    ({("8.8.8.8.in-addr.arpa", "PTR"): []}, {"reverse_dns": ("warn", "reverse_none")}),
    ({("8.8.8.8.in-addr.arpa", "PTR"): ["other.example."]}, {"reverse_dns": ("warn", "reverse_none")}),
    ({(f"default._bimi.{DOMAIN}", "TXT"): []}, {"bimi": ("hint", "bimi_none")}),
]


@pytest.mark.parametrize(("changed", "expected"), CHANGED, ids=range(len(CHANGED)))
def test_what_is_missing_or_wrong_has_a_mark_of_its_own(
    server: DnsServer, changed: dict[tuple[str, str], list[str]], expected: dict[str, tuple[str, str]]
) -> None:
    server.records |= changed
    found = {what: (mark.level, mark.code) for what, mark in marks(server).items() if mark.level != "good"}
    assert found == {what: mark for what, mark in expected.items() if mark[0] != "good"}


def test_what_is_missing_is_said_so_that_it_can_be_pasted(server: DnsServer) -> None:
    server.records = {}
    found = marks(server)
    assert (found["dkim"].name, found["dkim"].type, found["dkim"].value) == (DKIM[0], "TXT", KEY.value)
    assert found["spf"].value == "v=spf1 a:mail.example.net ~all"
    assert (found["dmarc"].name, found["dmarc"].value[:20]) == (DMARC[0], "v=DMARC1; p=none; ru")


def test_who_signs_elsewhere_is_not_known_to_sign(server: DnsServer) -> None:
    found = marks(server, key=None, host="")
    assert (found["dkim"].code, found["alignment"].code, found["reverse_dns"].code) == ("dkim_elsewhere", "good", "reverse_unknown")
    server.records[TXT] = []
    assert marks(server, key=None, host="")["alignment"].code == "alignment_unknown"


def test_a_return_path_elsewhere_has_records_of_its_own(server: DnsServer) -> None:
    back = f"b.{DOMAIN}"
    found = {mark.what: mark for mark in check(DOMAIN, KEY, "mail.example.net", resolver(server).ask, back)}
    assert (found["spf"].name, found["mx"].code, found["alignment"].code) == (back, "good", "good")
    wanted = ("return_path_other", back, "MX", "10 mail.example.net")
    assert (found["return_path"].code, found["return_path"].name, found["return_path"].type, found["return_path"].value) == wanted
    server.records |= {(back, "MX"): server.records[MX], (back, "TXT"): server.records[TXT], DKIM: []}
    codes = [{mark.what: mark.code for mark in check(DOMAIN, KEY, "", resolver(server).ask, one)} for one in (back, "elsewhere.example")]
    assert (codes[0]["return_path"], codes[0]["alignment"], codes[1]["alignment"]) == ("good", "good", "alignment_return")
    assert codes[1]["alignment"] in MEANINGS


@pytest.mark.parametrize(
    ("proven", "level", "code"), [(True, "good", "good"), (False, "bad", "dkim_provider"), (None, "unknown", "dkim_elsewhere")]
)
def test_a_provider_that_signs_by_itself_says_whether_the_domain_is_the_accounts(proven: bool | None, level: str, code: str) -> None:
    zone = from_records(good_zone(DOMAIN, "pfadwerk1", KEY.value))
    [mark] = [one for one in check(DOMAIN, None, "", zone, proven=proven) if one.what == "dkim"]
    assert (mark.level, mark.code) == (level, code)
    [own] = [one for one in check(DOMAIN, KEY, "", zone, proven=proven) if one.what == "dkim"]
    assert own.level == "good", "the account's own key is asked of the DNS"


def test_an_alias_is_followed_and_addresses_need_no_name(server: DnsServer) -> None:
    server.records |= {DKIM: [], (DKIM[0], "CNAME"): ["keys.example.net."], ("keys.example.net", "TXT"): [text(KEY.value)]}
    found = marks(server, host="8.8.8.8")
    assert (found["dkim"].level, found["reverse_dns"].level) == ("good", "good")


Told = list[tuple[str, ...]]


def told(check: Callable[..., list[Any]]) -> list[Told]:
    """What a check, or a broken copy of it, makes of every case; without the network."""
    cases: list[tuple[Any, SigningKey | None, str, str]] = []
    for changed, _ in [({}, {}), *CHANGED]:
        cases.append((from_records(good_zone(DOMAIN, "pfadwerk1", KEY.value) | changed), KEY, "mail.example.net", ""))
    for key, host in ((None, ""), (None, "mail.example.net"), (KEY, "8.8.8.8"), (KEY, "")):
        cases += [(from_records(records), key, host, "") for records in (good_zone(DOMAIN, "pfadwerk1", KEY.value), {})]
    good = from_records(good_zone(DOMAIN, "pfadwerk1", KEY.value))
    for kind in ("TXT", "MX"):
        cases.append(
            (lambda name, asked, kind=kind: Found(problem="no_answer") if asked == kind else good(name, asked), KEY, "mail.example.net", "")
        )
    zone = good_zone(DOMAIN, "pfadwerk1", KEY.value)
    for back in (DOMAIN, f"b.{DOMAIN}", "example.org", "b.example.org", "elsewhere.example"):
        mine = {(back, "MX"): zone[MX], (back, "TXT"): zone[TXT]}
        for records in (zone, zone | mine, zone | mine | {DKIM: []}, zone | {DKIM: [], TXT: []}):
            cases += [(from_records(records), key, host, back) for key in (KEY, None) for host in ("mail.example.net", "")]
    names = Mark.__slots__
    return [
        [tuple(getattr(mark, name) for name in names) for mark in check(DOMAIN, key, host, ask, back)] for ask, key, host, back in cases
    ]


SAME = {
    "left <= 0: Lt": "who is asked for none more yields none",
    "if left <= 0 -> False": "likewise",
    "target and left > 0: without left > 0": "likewise",
    "left > 0: GtE": "likewise",
    "MOST_TERMS + 1: Sub": "a record of a hundred terms asks too much anyway",
    "for … if name.strip() -> gone": "nobody asks for a tag without a name",
    "_is_address(one) and ip_address(one).is_global: without _is_address(one)": "the resolver gives nothing else",
}
"""What is turned round -> why no case can tell."""


def test_a_check_with_any_rule_broken_fails_the_table() -> None:
    file = Path(activities.domains.check.__file__)
    expected, unseen, tried = told(check), [], 0
    for what, tree in broken(file):
        if "'good', 'hint', 'warn'" in what:
            continue  # the type
        tried += 1
        try:
            unseen += [what] if told(load(tree, "activities.domains.check")["check"]) == expected else []
        except Exception:  # noqa: BLE001 - a copy that fails is told apart as well
            continue
    assert tried > 80, "the test looks at the wrong file"
    assert [what for what in unseen if what.partition(" ")[2] not in SAME] == []


def truncated(wire: bytes) -> bytes:
    return wire[:2] + b"\x81\x80" + wire[4:12]


def other_question(wire: bytes) -> bytes:
    query = dns.message.make_query("else.example", "TXT", id=int.from_bytes(wire[:2], "big"))
    return dns.message.make_response(query).to_wire()


def wrong_type(wire: bytes) -> bytes:
    """Says MX, holds an address."""
    head = wire[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
    end = wire.index(b"\0", 12) + 5
    return head + wire[12:end] + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x08\x08\x08\x08"


def loop(wire: bytes) -> bytes:
    """A name that points at itself, as its own compression."""
    end = wire.index(b"\0", 12) + 5
    return (
        wire[:2]
        + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
        + wire[12:end]
        + (len(wire[12:end]) + 12 | 0xC000).to_bytes(2, "big")
        + b"\0" * 10
    )


@pytest.mark.parametrize("answer", [truncated, other_question, wrong_type, loop, lambda wire: b"\xff" * 600, lambda wire: wire[:3]])
def test_a_broken_answer_is_a_problem_and_no_error(server: DnsServer, answer: Any) -> None:
    server.raw[DOMAIN] = answer
    found = Resolver([server.address], seconds=0.5).ask(DOMAIN, "TXT")
    assert found == Found(problem=found.problem)
    assert found.problem in ("", "broken", "no_answer")


def test_nobody_answers(server: DnsServer) -> None:
    server.raw[DOMAIN] = lambda wire: b""
    found = {mark.what: mark for mark in check(DOMAIN, KEY, "", Resolver([server.address], seconds=0.2).ask)}
    assert (found["spf"].level, found["spf"].code, found["mx"].level) == ("unknown", "no_answer", "unknown")
    assert found["return_path"].code == "no_answer"


def test_aliases_in_a_circle_and_names_that_are_none_end(server: DnsServer) -> None:
    server.records |= {(DKIM[0], "CNAME"): ["b.example."], ("b.example", "CNAME"): [f"{DKIM[0]}."], DKIM: []}
    assert marks(server)["dkim"].level in ("bad", "unknown")
    for name in ("a..example", "x" * 64 + ".example", "é" * 300, "", "a b.example", "..", "-"):
        assert resolver(server).ask(name, "TXT").values == ()
    assert resolver(server).ask("no address", "PTR").problem == "broken"


def test_huge_and_unprintable_texts_are_bounded(server: DnsServer) -> None:
    server.records[TXT] = [text("x" * 5_000)]
    assert resolver(server).ask(DOMAIN, "TXT").problem == "broken"
    server.records[TXT] = [text("y" * 200) + f' "{n}"' for n in range(80)]
    assert len(resolver(server).ask(DOMAIN, "TXT").values) == 50
    server.records[TXT] = ['"v=spf1 \\000\\001\\255 -all"']
    assert resolver(server).ask(DOMAIN, "TXT").values == ("v=spf1 ??? -all",)
