"""Passwords: whether one is good enough, and their argon2id hashes.

A hash takes about 130 ms and 64 MiB: call this from a thread, never inside a transaction. A process computes two at a time and lets a handful
wait; whoever comes on top is told to come back, so that a flood of log-ins neither fills the memory nor takes every thread of the web server.
"""

from __future__ import annotations

import re
import secrets
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
_bound = (HASHER, DUMMY)

LEAST_GUESSES = 10**8
"""Fewer guesses than these are weak: behind a lock, such a password lasts longer than anybody tries. Source: zxcvbn, score 3 ("safely
unguessable: moderate protection from offline slow-hash scenario"); Wheeler, zxcvbn, USENIX Security 2016."""
_LOOKED_AT = 72
"""So many characters are looked at; the time that takes grows faster than the text."""
_OURS = ("pfadwerk", "willkommen", "ichliebedich", "firma", "kunde", "kunden", "marketing", "newsletter", "fruehling", "frühling")
"""What people would think of here and in German, besides the 30,000 commonest passwords, names and words that zxcvbn brings."""

_one_at_a_time = threading.Lock()
"""zxcvbn keeps the words about a person in a table of the whole process."""
_turns = threading.BoundedSemaphore(AT_ONCE)
_line = threading.BoundedSemaphore(AT_ONCE + MAX_WAITING)
T = TypeVar("T")


def bind(hasher: PasswordHasher) -> None:
    """From now on this process hashes with other parameters. For tests: those of locks, links and pages log in a thousand times, and no
    result of theirs hangs on what a hash costs. Nothing of the product calls it."""
    global _bound
    _bound = hasher, hasher.hash(secrets.token_hex())


def dummy() -> str:
    """What is verified where there is no member: `DUMMY`, or one that costs what the bound parameters cost."""
    return _bound[1]


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
    if len(low) >= MIN_CHARACTERS and _is_guessed(password[:_LOOKED_AT], email, name):
        yield "This password is too easy to guess."
    if _is_about(low, email, name):
        yield "Your password cannot be your name or e-mail address."


def _is_guessed(password: str, email: str, name: str) -> bool:
    """Whether it falls early: by itself, or because it is one known word with a year or signs around it."""
    import zxcvbn  # its lists take a tenth of a second and 20 MB; most processes never need them
    from zxcvbn.matching import RANKED_DICTIONARIES

    about = [*_OURS, *email.casefold().replace("@", " ").split(), *name.casefold().split()]
    core = _core(password.casefold())
    with _one_at_a_time:
        if zxcvbn.zxcvbn(password, user_inputs=about, max_length=_LOOKED_AT)["guesses"] < LEAST_GUESSES:
            return True
        return len(core) < len(password) and any(core in words for words in RANKED_DICTIONARIES.values())


def _core(password: str) -> str:
    """Without the digits and signs before and after."""
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", password)


def _is_about(password: str, email: str, name: str) -> bool:
    """Whether it is the person's name or address, digits and punctuation before and after aside."""
    own = {email, email.partition("@")[0], name, *name.split(), "".join(name.split()), "".join(reversed(name.split()))}
    return bool({password, _core(password)} & {one.casefold() for one in own if one})


def plain(password: str) -> str:
    """The one spelling that is hashed: keyboards write ü in two ways. Source: NIST SP 800-63B §5.1.1.2 (NFKC)."""
    return unicodedata.normalize("NFKC", password[: 4 * MAX_CHARACTERS])


def hash_of(password: str, hasher: PasswordHasher | None = None) -> str:
    """What is stored of a password.

    Raises:
        TooMany: too many are waiting for theirs.
    """
    return _in_turn(lambda: (hasher or _bound[0]).hash(plain(password)))


def fits(stored: str, password: str, hasher: PasswordHasher | None = None) -> bool:
    """Whether the password belongs to the hash; takes as long either way.

    Raises:
        TooMany: as above.
    """
    return _in_turn(lambda: _fits(stored, password, hasher or _bound[0]))


def _fits(stored: str, password: str, hasher: PasswordHasher) -> bool:
    try:
        return hasher.verify(stored, plain(password))
    except (VerificationError, InvalidHashError):
        return False


def is_weak(stored: str, hasher: PasswordHasher | None = None) -> bool:
    """Whether a hash was made with other parameters than those of today."""
    return (hasher or _bound[0]).check_needs_rehash(stored)


def _in_turn(work: Callable[[], T]) -> T:
    if not _line.acquire(blocking=False):
        raise TooMany("Too many people are logging in right now; try again.", 2.0)
    try:
        with _turns:
            return work()
    finally:
        _line.release()
