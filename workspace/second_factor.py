"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when the app is gone.

The secret is sealed like every other secret; recovery codes are stored as keyed hashes. A factor counts once a code has shown that the app
knows the secret. Nothing here counts tries: `workspace.login` does, before it asks.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp
import segno
from sqlalchemy import delete, func, update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Conflict, Invalid, Issue
from models import Member, RecoveryCode, SecondFactor, lock
from workspace.audit import record
from workspace.secrets import seal, unseal
from workspace.settings import Access, load

STEP_SECONDS = 30
DRIFT_STEPS = 1
"""So many steps a clock may be ahead or behind. Source: RFC 6238 §5.2."""
RECOVERY_CODES = 10
SETUP_LIFE = timedelta(hours=1)
"""A setup that nobody confirms is begun anew after this."""
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Nothing that people mistake for something else; ten of them are 49 bits."""
ISSUER = "Pfadwerk"


@dataclass(frozen=True, slots=True, repr=False)
class Setup:
    """What an app needs: the secret as text, and as a picture (SVG, as the address of an image)."""

    secret: str
    picture: str


def is_on(session: Session, member_id: str) -> bool:
    """Whether the member logs in with a second factor."""
    row = session.get(SecondFactor, member_id)
    return row is not None and row.confirmed_at is not None


def is_owed(session: Session, member: Member) -> bool:
    """Whether the workspace wants a second factor of this member, and there is none."""
    wanted = load(session, Access).second_factor
    return (wanted == "everybody" or (wanted == "admins" and member.role == "admin")) and not is_on(session, member.id)


def begin(session: Session, keys: Sequence[bytes], member_id: str, now: datetime) -> None:
    """A new secret that counts only after `confirm`.

    Raises:
        Conflict: the member has a second factor already.
    """
    row = _row(session, member_id)
    if row is not None and row.confirmed_at is not None:
        raise Conflict("There already is a second factor; turn it off first.")
    row = row or SecondFactor(member_id=member_id, sealed="", created_at=now)
    row.sealed, row.created_at, row.last_step = seal(keys, pyotp.random_base32()), now, 0
    session.add(row)
    session.flush()


def setup(session: Session, keys: Sequence[bytes], member: Member, now: datetime) -> Setup | None:
    """What was begun lately and waits for its confirmation."""
    row = session.get(SecondFactor, member.id)
    if row is None or row.confirmed_at is not None or now - row.created_at > SETUP_LIFE:
        return None
    secret = unseal(keys, row.sealed)
    if secret is None:
        return None
    address = pyotp.TOTP(secret).provisioning_uri(name=member.email, issuer_name=ISSUER)
    return Setup(secret, segno.make(address, error="m").svg_data_uri(scale=4, border=4, dark="#000", light="#fff"))


def confirm(session: Session, keys: Sequence[bytes], member_id: str, code: str, now: datetime) -> list[str]:
    """Turns the factor on, if the app's code is right; returns the recovery codes, which are shown once. Audited.

    Raises:
        Invalid: the code is not right (field `code`).
        Conflict: nothing was begun.
    """
    row = _row(session, member_id)
    if row is None or row.confirmed_at is not None or now - row.created_at > SETUP_LIFE:
        raise Conflict("Nothing has been started; start again.")
    if not _use_app_code(session, keys, row, plain(code), now):
        raise Invalid("{problem}", [WRONG], problem=WRONG)
    row.confirmed_at = now
    session.add(row)
    record(session, f"member:{member_id}", "second_factor.on", f"member:{member_id}", {})
    return _new_codes(session, keys, member_id)


WRONG = Issue(code="code", text="The code is incorrect or was already used.", field="code")


def accept(session: Session, keys: Sequence[bytes], member_id: str, code: str, now: datetime) -> bool:
    """Whether a code of the app or a recovery code is right; either is good once. The use of a recovery code is audited."""
    row = _row(session, member_id)
    if row is None or row.confirmed_at is None:
        return False
    said = plain(code)
    return _use_app_code(session, keys, row, said, now) or _use_recovery_code(session, keys, member_id, said, now)


def renew_codes(session: Session, keys: Sequence[bytes], member_id: str) -> list[str]:
    """Ten new recovery codes in place of all others; audited.

    Raises:
        Conflict: there is no second factor.
    """
    if not is_on(session, member_id):
        raise Conflict("There is no second factor.")
    record(session, f"member:{member_id}", "second_factor.codes", f"member:{member_id}", {})
    return _new_codes(session, keys, member_id)


def remove(session: Session, member_id: str, by: str) -> None:
    """Turns the factor off, for oneself or, when the app is gone, for somebody else; audited.

    Raises:
        Conflict: there is none.
    """
    row = _row(session, member_id)
    if row is None:
        raise Conflict("There is no second factor.")
    session.delete(row)
    session.execute(delete(RecoveryCode).where(col(RecoveryCode.member_id) == member_id))
    record(session, by, "second_factor.off", f"member:{member_id}", {})
    session.flush()


def codes_left(session: Session, member_id: str) -> int:
    """How many recovery codes are unused."""
    statement = select(func.count()).select_from(RecoveryCode)
    return session.scalar(statement.where(RecoveryCode.member_id == member_id, col(RecoveryCode.used_at).is_(None))) or 0


def plain(code: str) -> str:
    """A code as it is compared: people group digits and type capitals."""
    return "".join(character for character in code[:64].lower() if character.isalnum())


def _row(session: Session, member_id: str) -> SecondFactor | None:
    statement = lock(session, select(SecondFactor).where(SecondFactor.member_id == member_id))
    row: SecondFactor | None = session.scalar(statement, execution_options={"populate_existing": True})
    return row


def _use_app_code(session: Session, keys: Sequence[bytes], row: SecondFactor, said: str, now: datetime) -> bool:
    secret = unseal(keys, row.sealed)
    if secret is None or len(said) != 6 or not said.isascii() or not said.isdecimal():
        return False
    totp, step = pyotp.TOTP(secret), int(now.timestamp()) // STEP_SECONDS
    steps = range(step - DRIFT_STEPS, step + DRIFT_STEPS + 1)
    right = [one for one in steps if one > row.last_step and hmac.compare_digest(totp.at(one * STEP_SECONDS), said)]
    if not right:
        return False
    row.last_step = right[0]
    session.add(row)
    session.flush()
    return True


def _use_recovery_code(session: Session, keys: Sequence[bytes], member_id: str, said: str, now: datetime) -> bool:
    if len(said) != 10:
        return False
    statement = (
        update(RecoveryCode)
        .where(
            col(RecoveryCode.code_hash).in_([_hashed(key, member_id, said) for key in keys]),
            col(RecoveryCode.member_id) == member_id,
            col(RecoveryCode.used_at).is_(None),
        )
        .values(used_at=now)
    )
    if session.scalar(statement.returning(col(RecoveryCode.code_hash))) is None:
        return False
    left = codes_left(session, member_id)
    record(session, f"member:{member_id}", "second_factor.recovery_code", f"member:{member_id}", {"left": left})
    return True


def _new_codes(session: Session, keys: Sequence[bytes], member_id: str) -> list[str]:
    session.execute(delete(RecoveryCode).where(col(RecoveryCode.member_id) == member_id))
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(10)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(code_hash=_hashed(keys[0], member_id, code), member_id=member_id) for code in codes)
    session.flush()
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _hashed(key: bytes, member_id: str, code: str) -> str:
    return hmac.new(key, f"recovery:{member_id}:{code}".encode(), "sha256").hexdigest()
