"""The name of a link target: what tracking tokens carry instead of an address."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256


@lru_cache(maxsize=4096)
def link_digest(url: str) -> str:
    """32 hex digits (128 bits of SHA-256); the key under which the target is stored."""
    return sha256(url.encode()).hexdigest()[:32]
