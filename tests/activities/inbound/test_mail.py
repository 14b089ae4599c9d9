"""What a mail is taken for: reports of every shape, automatic answers in four languages, replies without what they quote, and hostile ones."""

from __future__ import annotations

import base64
import codecs
import time
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.inbound.mail import MOST_BYTES, InboundMail, read
from activities.inbound.mime import MOST_PARTS, split
from activities.inbound.quotes import written
from activities.inbound.signs import fate_of

TOKEN = "a" * 44
TO = f"bounces+{TOKEN}@m.example.org"


def dsn(fields: str, original: str = "Message-ID: <run.step.1@example.org>", to: str = TO) -> bytes:
    return (
        f"Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: {to}\nSubject: Undelivered Mail\nMessage-ID: <1@mx.example>\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
        f"{fields}\n\n--b\nContent-Type: message/rfc822\n\n{original}\nSubject: Hi\n\ntext\n--b--\n"
    ).encode()


def arf(kind: str, original: str = "") -> bytes:
    return (
        "From: fbl@provider.example\nTo: abuse@example.org\nSubject: complaint\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=x\n\n--x\nContent-Type: text/plain\n\nThis is a report.\n"
        f"--x\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nUser-Agent: Some/1\nVersion: 1\nOriginal-Mail-From: <{TO}>\n\n"
        f"--x\nContent-Type: message/rfc822\n\n{original or 'Message-ID: <run.step.1@example.org>'}\n\nHi\n--x--\n"
    ).encode()


def letter(subject: str, text: str = "Hello", **headers: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = (
        "Anna <anna@example.com>",
        "hello@example.org",
        subject,
        "<a@example.com>",
    )
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail.as_bytes()


@pytest.mark.parametrize(
    ("fields", "kind", "fate", "code"),
    [
        ("Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1", "bounce", "bounced", "dsn_5.1.1"),
        ("Action: failed\nStatus: 5.1.10\nDiagnostic-Code: smtp; 556 5.1.10 null MX", "bounce", "bounced", "dsn_5.1.10"),
        ("Action: failed\nStatus: 5.2.1", "bounce", "bounced", "dsn_5.2.1"),
        ("Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 mailbox full", "bounce", "soft_bounced", "dsn_5.2.2"),
        ("Action: failed\nStatus: 4.4.7", "bounce", "soft_bounced", "dsn_4.4.7"),
        ("Action: failed\nStatus: 5.7.1\nDiagnostic-Code: smtp; 550 5.7.1 spam", "bounce", "failed", "dsn_5.7.1"),
        ("Action: failed\nStatus: 5.3.4", "bounce", "failed", "dsn_5.3.4"),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 user unknown", "bounce", "bounced", "dsn_5.0.0"),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550-5.1.1 no\n such person", "bounce", "bounced", "dsn_5.1.1"),
        ("Action: failed\nStatus: 5.0.0", "bounce", "soft_bounced", "dsn_5.0.0"),
        ("Action: FAILED (really)\nStatus: nonsense", "bounce", "soft_bounced", "dsn_unknown"),
        ("Action: delayed\nStatus: 4.4.1", "delayed", None, ""),
        ("Action: delivered\nStatus: 2.0.0", "other", None, ""),
        ("Action: relayed\nStatus: 2.0.0\n\nAction: failed\nStatus: 5.1.1", "bounce", "bounced", "dsn_5.1.1"),
        ("Status: 5.1.1", "other", None, ""),
    ],
)
def test_notifications(fields: str, kind: str, fate: str | None, code: str) -> None:
    found = read(dsn(fields))
    assert (found.kind, found.fate, found.code) == (kind, fate, code)
    assert (list(found.addresses), list(found.ids)) == ([TO], [("run.step.1", "example.org")])


def test_a_report_is_about_the_mail_that_it_names_and_not_about_its_thread() -> None:
    thread = b"References: <run.step.1@example.org> <answer@example.org>\n"
    assert list(read(thread + dsn("Action: failed\nStatus: 5.1.1", "Message-ID: <answer@example.org>")).ids) == [("answer", "example.org")]
    assert ("run.step.1", "example.org") in read(thread + dsn("Action: failed\nStatus: 5.1.1", "x: y")).ids


@pytest.mark.parametrize(
    ("said", "fate"),
    [
        ("<a@b>: host mx said: 550 5.1.1 <a@b>: Recipient address rejected: User unknown", "bounced"),
        ("a@b\n    Unrouteable address", "bounced"),
        ("550 Requested action not taken: mailbox unavailable", "bounced"),
        ("Die Adresse existiert nicht (550)", "bounced"),
        ("452 4.2.2 The email account that you tried to reach is over quota", "soft_bounced"),
        ("554 5.7.1 Message rejected as spam", "failed"),
        ("It did not work.", "soft_bounced"),
    ],
)
def test_bounces_in_words_only(said: str, fate: str) -> None:
    quoted = f"\n\n------ This is a copy of the message ------\nReturn-Path: <{TO}>\nMessage-ID: <run.step.1@example.org>\n"
    raw = f"From: Mail Delivery System <Mailer-Daemon@mx.example>\nSubject: Mail delivery failed: returning message to sender\n\n{said}{quoted}"
    found = read(raw.encode())
    assert (found.kind, found.fate) == ("bounce", fate)
    assert (TO in found.addresses, ("run.step.1", "example.org") in found.ids) == (True, True)


def test_a_warning_in_words_is_no_bounce() -> None:
    raw = b"From: <>\nReturn-Path: <>\nSubject: Warning: could not send message for past 4 hours\n\n550 5.1.1 user unknown, still trying"
    assert read(raw).kind == "delayed"


def test_complaints() -> None:
    found = read(arf("abuse"))
    assert (found.kind, found.code, list(found.addresses), list(found.ids)) == (
        "complaint",
        "arf_abuse",
        [TO],
        [("run.step.1", "example.org")],
    )
    assert [read(arf(kind)).kind for kind in ("fraud", "virus", "not-spam", "auth-failure", "")] == [
        "complaint",
        "complaint",
        "other",
        "other",
        "other",
    ]


AUTOMATIC = [
    {"Auto_Submitted": "auto-replied"}, {"Auto_Submitted": "auto-generated (vacation)"}, {"X_Autoreply": "yes"}, {"Precedence": "bulk"},
    {"X_Auto_Response_Suppress": "All"}, {"List_Id": "<l.example.org>"}, {"Return_Path": "<>"},
]  # fmt: skip
AWAY = [
    "Automatic reply: Your offer", "Out of Office Re: Your offer", "Automatische Antwort: Angebot", "Abwesenheitsnotiz: Re: Angebot", "Ich bin im Urlaub",
    "Réponse automatique : Offre", "Absence du bureau", "Risposta automatica: Offerta", "Fuori ufficio fino al 3", "AW: Automatische Antwort: Angebot",
]  # fmt: skip


def test_programs_answer_automatically() -> None:
    assert {read(letter("Re: Your offer", **headers)).kind for headers in AUTOMATIC} == {"automatic"}
    assert {subject: read(letter(subject)).kind for subject in AWAY} == dict.fromkeys(AWAY, "automatic")


@pytest.mark.parametrize(
    "subject", ["Re: Urlaubsangebote im Mai", "AW: Vacation deals", "Automatik oder Schaltung?", "Re: Absence makes the heart grow"]
)
def test_people_who_repeat_our_subject_are_people(subject: str) -> None:
    assert read(letter(subject, Auto_Submitted="no")).kind == "reply"


def test_a_reply() -> None:
    found = read(
        letter(
            "AW: Re: Offer",
            "Yes!\n\nAm 3. Mai schrieb Shop <x@y>:\n> Buy\n",
            In_Reply_To="<r.s.1@example.org>",
            References="<old@x> <r.s.0@example.org>",
        )
    )
    assert (found.kind, found.sender, found.subject, found.is_answer, found.text) == ("reply", "anna@example.com", "Offer", True, "Yes!")
    assert list(found.ids) == [("r.s.1", "example.org"), ("r.s.0", "example.org"), ("old", "x")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Yes\n\nOn Mon, 3 May 2027 at 10:00,\nShop <shop@example.org> wrote:\n> Hi\n> there\n\nIndeed", "Yes\n\nIndeed"),
        ("Gern.\n\nVon: Shop\nGesendet: Montag\nAn: Anna\nBetreff: Hi\n\nHallo", "Gern."),
        ("Oui\n\nLe lun. 3 mai 2027 à 10:00, Shop <s@x> a écrit :\n\nBonjour", "Oui"),
        ("Si\n\nIl giorno lun 3 mag Shop ha scritto:\n> Ciao", "Si"),
        ("Ok\n-----Ursprüngliche Nachricht-----\nHallo", "Ok"),
        ("Ok\n________________________________\nFrom: x", "Ok"),
        ("Ok\n-- \nAnna\nShop GmbH", "Ok"),
        ("> nothing but quotes", "> nothing but quotes"),
        ("From: the start it was fine", "From: the start it was fine"),
        ("On the whole I like what he wrote: nice", "On the whole I like what he wrote: nice"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_a_person_wrote(text: str, wanted: str) -> None:
    assert written(text) == wanted


def test_html_is_read_without_its_quotes() -> None:
    html = '<html><style>p{}</style><body><p>Ja &amp; gern</p><div>bis morgen<br>Anna</div><blockquote>alt</blockquote><div class="gmail_quote">Am …</div></body></html>'
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "anna@example.com", "Re: x"
    mail.set_content(html, subtype="html")
    assert read(mail.as_bytes()).text.split() == ["Ja", "&", "gern", "bis", "morgen", "Anna"]


def test_an_attachment_is_not_what_was_written() -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "anna@example.com", "Grüße"
    mail.set_content("Äpfel", cte="base64")
    mail.add_attachment("STOP", filename="a.txt")
    assert (read(mail.as_bytes()).text, read(mail.as_bytes()).subject) == ("Äpfel", "Grüße")


def test_programs_unsubscribe_at_the_address_that_our_mail_named() -> None:
    assert read(f"From: a@b.c\nTo: {TO}\nSubject: unsubscribe\n\n".encode()).kind == "unsubscribe"
    assert read(b"From: a@b.c\nTo: hello@example.org\nSubject: unsubscribe\n\n").kind == "reply"
    assert list(read(b"From: a@b.c\nSubject: unsubscribe\n\n", TO).addresses) == [TO]


def test_the_same_mail_has_one_name_whatever_its_way_added() -> None:
    raw = letter("Hi")
    assert read(b"Received: from x\nDelivered-To: a@b\n" + raw).digest == read(raw).digest
    assert read(letter("Hi", "Other")).digest != read(raw).digest


HOSTILE = {
    "nested": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(20_000)),
    "same boundary": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * 100_000,
    "many headers": b"X: y\n" * 100_000,
    "one long header": b"Subject: " + b"=?utf-8?q?=C3?= " * 30_000,
    "folded": b"Subject: x\n" + b" y\n" * 200_000,
    "one line": b"<" * MOST_BYTES,
    "brackets": b"References: " + b"<a@" * 100_000 + b"\nSubject: x\n\n",
    "quotes": b"From: a@b\nSubject: x\n\n" + b"On x\n" * 100_000,
    "html": b"From: a@b\nContent-Type: text/html\n\n" + b"<div>" * 100_000,
    "comments": b"From: a@b\nContent-Type: text/html\n\n" + b"<!--" * 100_000,
    "status": b"From: mailer-daemon@x\nSubject: failure notice\n\n" + b"5.1." * 100_000 + b"return-path:" * 9_000,
    "base64": b"From: a@b\nContent-Type: text/plain; charset=idna\nContent-Transfer-Encoding: base64\n\n" + b"eHh4" * 100_000,
    "charset": b"From: a@b\nContent-Type: text/plain; charset=punycode\n\n" + b"a-" * 100_000,
    "parameters": b"Content-Type: multipart/mixed; " + b'a*0*="' * 60_000 + b"\n\nx",
    "nothing": b"",
    "nul": b"\x00" * 1_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mails_cost_little(name: str) -> None:
    began = time.process_time()
    found = read(HOSTILE[name])
    assert isinstance(found, InboundMail)
    assert time.process_time() - began < 60, "a bound is missing"
    assert len(list(split(HOSTILE[name]).walk())) <= MOST_PARTS


@given(st.binary(max_size=400))
def test_any_bytes_are_a_mail(raw: bytes) -> None:
    assert len(read(raw).digest) == 64
    assert read(b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n" + raw).fate != "x"


def test_a_mail_that_is_cut_short_still_says_what_it_is() -> None:
    whole = dsn("Action: failed\nStatus: 5.1.1")
    cut = whole[: whole.index(b"Subject: Hi")]
    assert (read(cut).kind, list(read(cut).ids)) == ("bounce", [("run.step.1", "example.org")])
    coded = base64.b64encode(b"Reporting-MTA: x\n\nAction: failed\nStatus: 5.1.1\n")
    raw = (
        b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n"
        + coded
    )
    assert read(raw).fate == "bounced"


def test_python_is_asked_for_no_charset_that_a_stranger_made_up() -> None:
    """It would remember each name for ever."""
    asked = list[str]()
    codecs.register(note := lambda name: asked.append(name))
    try:
        assert "Grüße" in read(b"From: a@b.example\nContent-Type: text/plain; charset=x-made-up\n\nGr\xc3\xbc\xc3\x9fe").text
        assert "Grüße" in read(b"From: a@b.example\nContent-Type: text/plain; charset=Windows-1252\n\nGr\xfc\xdfe").text
    finally:
        codecs.unregister(note)
    assert asked == []


def test_a_version_number_is_no_status() -> None:
    assert fate_of("", "see RFC 5.1.1.2 and 10.5.1.1") == ("soft_bounced", "dsn_unknown")


def test_a_message_id_has_no_control_characters() -> None:
    """PostgreSQL takes no NUL, not even to look for it."""
    raw = b"From: anna@example.com\nSubject: Re: Hi\nIn-Reply-To: <a\x00b@eu.amazonses.com> <r.s.1@example.org\x00>\nReferences: <r.s.1@example.org>\n\nHi\n"
    assert list(read(raw).ids) == [("r.s.1", "example.org")]
