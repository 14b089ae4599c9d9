"""What a good password is, and what is stored of it."""

from __future__ import annotations

import importlib.util
import re
import threading
from pathlib import Path
from typing import Literal

import pytest
from argon2 import PasswordHasher

from journeys.errors import Invalid, TooMany
from workspace import passwords

ROOT = Path(__file__).parents[2]
PRODUCT = [file.parent for file in ROOT.glob("*/__init__.py")]
CHEAP = re.compile(r"passwords\.bind\b|from workspace\.passwords import\b[^\n]*\bbind\b")
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.mark.parametrize(
    "password", ["correct horse", "x7!kLm29Qa", "Zürich am See", "東京の桜は春に咲く頃だ", "vier Hasen jagen den Mond " * 7]
)
def test_good_passwords(password: str) -> None:
    passwords.check(password, "grace@example.org", "Grace Hopper")


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("", "at least"),
        ("short", "at least"),
        ("x7!kLm29Q", "at least"),
        ("abcd" * 51, "at most"),
        ("PASSWORD123", "too easy to guess"),
        ("1q2w3e4r5t", "too easy to guess"),
        ("P@ssw0rd123!", "too easy to guess"),
        ("Sommer2026!", "too easy to guess"),
        ("!!2026Passwort!!", "too easy to guess"),
        ("ichliebedich", "too easy to guess"),
        ("qwertzuiopqwertzuiop", "too easy to guess"),
        ("liverpool2024", "too easy to guess"),
        ("a" * 100 + "bcd", "too easy to guess"),
        ("aaaaaaaaaaaa", "too easy to guess"),
        ("1212121212121", "too easy to guess"),
        ("grace@example.org", "your name"),
        ("Grace Hopper", "your name"),
        ("GraceHopper1906", "your name"),
        ("123 hopper 123", "your name"),
    ],
)
def test_bad_passwords_say_why(password: str, word: str) -> None:
    with pytest.raises(Invalid) as refused:
        passwords.check(password, "grace@example.org", "Grace Hopper")
    [issue] = [issue for issue in refused.value.issues if word in issue.message]
    assert issue.field == "password"
    assert not password or password not in str(refused.value)


def test_the_lists_are_real() -> None:
    """Hundreds of the commonest that are long enough, each refused."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    long_enough = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= passwords.MIN_CHARACTERS]
    assert len(long_enough) > 500
    for password in long_enough[::25]:
        with pytest.raises(Invalid):
            passwords.check(password)


def test_the_words_about_one_person_do_not_count_against_another() -> None:
    with pytest.raises(Invalid):
        passwords.check("hollerithmaschine1", "", "Hollerithmaschine Zuse")
    passwords.check("hollerithmaschine1", "", "Grace Hopper")


def test_only_the_password_fits_its_hash() -> None:
    stored = passwords.hash_of("correct horse", QUICK)
    assert stored.startswith("$argon2id$")
    assert "correct" not in stored
    assert len(stored) <= 300
    assert passwords.fits(stored, "correct horse", QUICK)
    assert not passwords.fits(stored, "correct horsf", QUICK)
    assert not passwords.fits("no hash at all", "correct horse", QUICK)
    assert stored != passwords.hash_of("correct horse", QUICK), "salted"


def test_two_spellings_of_one_letter_are_one_password() -> None:
    stored = passwords.hash_of("Z\u00fcrich am See", QUICK)
    assert passwords.fits(stored, "Zu\u0308rich am See", QUICK)


def test_a_hash_of_weaker_parameters_is_known() -> None:
    strong = passwords.HASHER
    assert passwords.is_weak(passwords.hash_of("correct horse", QUICK), strong)
    stored = passwords.hash_of("correct horse", strong)
    assert "$m=65536,t=3,p=4$" in stored
    assert not passwords.is_weak(stored, strong)
    assert passwords.fits(stored, "correct horse", strong)


def test_the_dummy_costs_what_a_real_hash_costs() -> None:
    assert not passwords.is_weak(passwords.DUMMY, passwords.HASHER)
    assert not passwords.fits(passwords.DUMMY, "")
    assert not passwords.is_weak(passwords.dummy()), "as cheap as what the tests hash"


def test_only_tests_hash_cheaply() -> None:
    """What the module does before anybody binds anything, and that nothing of the product does."""
    spec = importlib.util.spec_from_file_location("passwords_anew", passwords.__file__)
    assert spec is not None
    assert spec.loader is not None
    anew = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(anew)
    assert anew.dummy() == passwords.DUMMY
    assert "$m=65536,t=3,p=4$" in anew.hash_of("correct horse")
    places = [
        file
        for folder in PRODUCT
        for file in folder.rglob("*.py")
        if "passwords" in (text := file.read_text("utf-8")) and CHEAP.search(text)
    ]
    assert places == []


def test_a_flood_is_told_to_come_back() -> None:
    """The threads that come on top are refused at once instead of waiting: while nobody has got an answer yet."""
    on_top, answer = 30 - passwords.AT_ONCE - passwords.MAX_WAITING, threading.Event()
    refused, answered = list[bool](), list[bool]()

    class Busy(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            answered.append(answer.wait(20))
            return True

    def ask() -> None:
        try:
            passwords.fits(passwords.DUMMY, "wrong", Busy())
        except TooMany:
            refused.append(True)
            if len(refused) == on_top:
                answer.set()

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == on_top
    assert answered == [True] * (30 - on_top), "none of the others had been answered before"
    assert passwords.fits(passwords.hash_of("correct horse", QUICK), "correct horse", QUICK), "and afterwards all is as before"
