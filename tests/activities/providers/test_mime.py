"""Mails built by hand read back equal by the standard library."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.utils import parseaddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.providers import MessageDead, Outgoing
from activities.providers.mime import build, message_id

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
line = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=120).map(lambda text: " ".join(text.split()))
body = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=400)


@settings(max_examples=60, deadline=None)
@given(subject=line, name=line, text=body, html=body)
def test_what_goes_in_comes_out(subject: str, name: str, text: str, html: str) -> None:
    name = name.replace('"', "").replace("\\", "").strip()
    raw = build(Outgoing("r:n:1", "m", "email", "anna@example.org", f'"{name}" <shop@example.com>', "", subject, html, text), NOW)
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert max(len(part) for part in raw.split(b"\r\n")) <= 998
    assert parsed["Subject"] == subject
    assert parseaddr(str(parsed["From"]))[1] == "shop@example.com"
    assert parsed["From"].addresses[0].display_name == name
    for kind, source in (("plain", text), ("html", html)):
        if source:
            assert parsed.get_body((kind,)).get_content().replace("\r\n", "\n") == source


def test_a_message_id_names_the_step_for_people() -> None:
    assert message_id("0a1b:welcome_2:3", "Shop <shop@example.com>") == "<0a1b.welcome_2.3@example.com>"
    assert message_id("::", "shop@example.com") == "<message@example.com>"


@pytest.mark.parametrize(
    "address", ["", "nobody", "a b@example.org", "a@b@example.org", "a@example.org, b@example.org", "<>", "ä@example.org"]
)
def test_what_is_no_single_address_is_refused(address: str) -> None:
    with pytest.raises(MessageDead):
        build(Outgoing("r:n:1", "m", "email", address, "shop@example.com", text="x"), NOW)


@pytest.mark.parametrize("name", ["Bcc", "subject", "Content-Type"])
def test_extra_headers_cannot_replace_ours(name: str) -> None:
    with pytest.raises(MessageDead):
        build(Outgoing("r:n:1", "m", "email", "a@example.org", "shop@example.com", text="x", headers={name: "y"}), NOW)
