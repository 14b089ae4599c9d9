"""Passwords: whether one is good enough, and their argon2id hashes.

A hash takes about 130 ms and 64 MiB: call this from a thread, never inside a transaction. A process computes two at a time and lets a handful
wait; whoever comes on top is told to come back, so that a flood of log-ins neither fills the memory nor takes every thread of the web server.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from journeys.errors import Invalid, Issue, TooMany

MIN_CHARACTERS = 10
MAX_CHARACTERS = 200
AT_ONCE = 2
MAX_WAITING = 8

HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)
"""Source: RFC 9106 §4, the second recommended option (argon2id, 3 passes over 64 MiB, 4 lanes)."""
DUMMY = "$argon2id$v=19$m=65536,t=3,p=4$gem4F0qlMs+iu4/Qx11nhw$GDJKbJyjxteUORstkCwS+LM1XfLMoDDmvYa2nyYrrF8"
"""The hash of nothing anybody knows: verified where there is no member, so that it takes as long as where there is one."""

_LISTED = """
    1234567890 12345678910 0123456789 0987654321 1q2w3e4r5t 1qaz2wsx3edc qwertyuiop qwertzuiop asdfghjkl1 password12 password123
    password1234 passwort12 passwort123 passwort1234 passw0rd123 p@ssw0rd123 iloveyou12 iloveyou123 ichliebedich hallohallo willkommen
    willkommen1 welcome123 welcome1234 changeme12 changeme123 letmein123 administrator administrator1 sunshine123 princess123
    football123 schalke04 baseball123 superman123 starwars123 dragon1234 monkey1234 qwerty1234 qwerty12345 qwertz1234 qwertz12345
    abcdefghij abc1234567 abcd123456 testtest123 pfadwerk123 sommer2025 sommer2026 winter2025 winter2026 geheim1234 schatz1234
"""
COMMON = frozenset(_LISTED.split())
"""The commonest with ten characters or more; shorter ones are refused anyway. Source: the usual lists of leaked passwords."""

_turns = threading.BoundedSemaphore(AT_ONCE)
_line = threading.BoundedSemaphore(AT_ONCE + MAX_WAITING)
T = TypeVar("T")


def check(password: str, email: str = "", name: str = "") -> None:
    """Raises:
    Invalid: the password is too short, too long, or what others would try first; every problem is listed."""
    issues = [Issue(code="password", text=text, values=_VALUES, field="password") for text in _problems(plain(password), email, name)]
    if issues:
        raise Invalid("This password cannot be used.", issues)


_VALUES = {"least": MIN_CHARACTERS, "most": MAX_CHARACTERS}


def _problems(password: str, email: str, name: str) -> Iterator[str]:
    low = password.casefold()
    if len(password) < MIN_CHARACTERS:
        yield "A password has at least {least} characters."
    if len(password) > MAX_CHARACTERS:
        yield "A password has at most {most} characters."
    if low in COMMON or (len(low) >= MIN_CHARACTERS and len(set(low)) < 4):
        yield "This password is among the first that others would try."
    if _is_about(low, email, name):
        yield "A password must not be your name or your e-mail address."


def _is_about(password: str, email: str, name: str) -> bool:
    """Whether it is the person's name or address, digits and punctuation before and after aside."""
    own = {email, email.partition("@")[0], name, *name.split(), "".join(name.split()), "".join(reversed(name.split()))}
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", password)
    return bool({password, core} & {one.casefold() for one in own if one})


def plain(password: str) -> str:
    """The one spelling that is hashed: keyboards write ü in two ways. Source: NIST SP 800-63B §5.1.1.2 (NFKC)."""
    return unicodedata.normalize("NFKC", password[: 4 * MAX_CHARACTERS])


def hash_of(password: str, hasher: PasswordHasher = HASHER) -> str:
    """What is stored of a password.

    Raises:
        TooMany: too many are waiting for theirs.
    """
    return _in_turn(lambda: hasher.hash(plain(password)))


def fits(stored: str, password: str, hasher: PasswordHasher = HASHER) -> bool:
    """Whether the password belongs to the hash; takes as long either way.

    Raises:
        TooMany: as above.
    """
    return _in_turn(lambda: _fits(stored, password, hasher))


def _fits(stored: str, password: str, hasher: PasswordHasher) -> bool:
    try:
        return hasher.verify(stored, plain(password))
    except (VerificationError, InvalidHashError):
        return False


def is_weak(stored: str, hasher: PasswordHasher = HASHER) -> bool:
    """Whether a hash was made with other parameters than those of today."""
    return hasher.check_needs_rehash(stored)


def _in_turn(work: Callable[[], T]) -> T:
    if not _line.acquire(blocking=False):
        raise TooMany("Too many people log in at this moment; try again.", 2.0)
    try:
        with _turns:
            return work()
    finally:
        _line.release()
