"""Signs mails with DKIM (RFC 6376), rsa-sha256, relaxed/relaxed, and says what the domain's DNS must hold. It verifies nothing.

By hand over `cryptography`, because the library made for it signs 120 mails a second and this 20 times that; in the tests that library is the judge.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SIGNED = ("From", "From", "To", "Subject", "Date", "Message-ID", "Reply-To", "List-Unsubscribe", "List-Unsubscribe-Post")
"""What the signature covers. The second From and whatever a mail lacks are signed as absent: nobody can add one on the way. Source: RFC 6376
§5.4.2; RFC 8058 §4 asks for both List-Unsubscribe headers."""
BITS = 2_048
"""Source: RFC 8301 §3.2: at least 1,024, should be 2,048; a longer one does not fit into one string of a TXT record that many panels take."""

UNFIT = "Expected an RSA key of at least 2,048 bits as PEM, not encrypted with a passphrase."


@dataclass(frozen=True, slots=True)
class Signer:
    """`selector` names the key among those of a domain; `key` is its PEM."""

    selector: str
    key: rsa.RSAPrivateKey

    def sign(self, mail: bytes, domain: str, now: datetime) -> bytes:
        """The mail with its signature on top. `mail` has CRLF line ends; `domain` (ASCII) is that of its From."""
        head, _, body = mail.partition(b"\r\n\r\n")
        present = _headers(head)
        digest = b64encode(sha256(_relaxed_body(body)).digest()).decode()
        tags = (
            f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={self.selector}; t={int(now.timestamp())};\r\n"
            f" h={':'.join(SIGNED)};\r\n bh={digest};\r\n b="
        )
        signature = self.key.sign(_signed(present, tags), padding.PKCS1v15(), hashes.SHA256())
        encoded = b64encode(signature).decode()
        folded = "\r\n ".join(encoded[start : start + 72] for start in range(0, len(encoded), 72))
        return f"DKIM-Signature: {tags}{folded}\r\n".encode("ascii") + mail


def _signed(present: dict[str, list[str]], tags: str) -> bytes:
    """The canonical headers: of several of one name the lowest first, and at last the signature's own, without a line end."""
    left = {name: list(values) for name, values in present.items()}
    lines = [f"{name.lower()}:{left[name.lower()].pop()}\r\n" for name in SIGNED if left.get(name.lower())]
    return "".join([*lines, f"dkim-signature:{_relaxed(tags)}"]).encode("ascii")


def _headers(head: bytes) -> dict[str, list[str]]:
    """Name (lower case) -> the canonical values, in the order of the mail."""
    found: dict[str, list[str]] = {}
    for line in re.split(r"\r\n(?![ \t])", head.decode("ascii")):
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), []).append(_relaxed(value))
    return found


def _relaxed(value: str) -> str:
    """RFC 6376 §3.4.2."""
    return re.sub(r"[ \t]+", " ", value.replace("\r\n", "")).strip(" ")


def _relaxed_body(body: bytes) -> bytes:
    """RFC 6376 §3.4.4."""
    lines = re.sub(rb"[ \t]+(?=\r\n)", b"", re.sub(rb"[ \t]+", b" ", body)).rstrip(b"\r\n")
    return lines + b"\r\n" if lines else b""


def new_key() -> str:
    """A private key as PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode("ascii")


@lru_cache(maxsize=100)
def signer(selector: str, pem: str) -> Signer:
    """Raises: ValueError: the text is no RSA key that can be read without a passphrase, or a shorter one than `BITS`."""
    try:
        key = serialization.load_pem_private_key(pem.encode("ascii"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        raise ValueError(UNFIT) from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < BITS:
        raise ValueError(UNFIT)
    return Signer(selector, key)


def public_value(pem: str) -> str:
    """The TXT record that receivers look the key up in."""
    key = signer("", pem).key.public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={b64encode(der).decode()}"
