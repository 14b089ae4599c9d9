"""Token buckets on public doors: in Redis when it is there, so that all processes share them, else in this process.

Fails open to the local bucket: losing Redis loosens a limit to one per process and refuses nobody wrongly.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.http.errors import TooMany

log = logging.getLogger("pfadwerk.api")

AWAY_SECONDS = 5.0
"""How long Redis is left alone after it did not answer, so that a dead one costs one time-out and not one a request."""
MAX_LOCAL = 50_000
"""Local buckets kept; the oldest are forgotten first, which refills them."""

_TAKE = """
local rate, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'n', 't')
local n = math.min(burst, (tonumber(bucket[1]) or burst) + (now - (tonumber(bucket[2]) or now)) * rate)
local wait = 0
if n >= cost then n = n - cost else wait = (cost - n) / rate end
redis.call('HSET', KEYS[1], 'n', tostring(n), 't', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return tostring(wait)
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, refilled at `per_second`."""

    name: str
    per_second: float
    burst: float


class Limits:
    """All buckets of this process, and Redis' where it answers."""

    def __init__(self, redis: Redis | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.redis = redis
        self._take = redis.register_script(_TAKE) if redis is not None else None
        self._monotonic = monotonic
        self._away_until = 0.0
        self._local: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def shared(self) -> bool:
        """Whether Redis answered lately."""
        return self._take is not None and self._monotonic() >= self._away_until

    async def take(self, rate: Rate, who: str, cost: float = 1.0) -> None:
        """Takes `cost` tokens from the bucket of `who` (hashed: an address or key never reaches Redis).

        Raises:
            TooMany: not enough tokens; says when there will be.
        """
        name = f"pfadwerk:limit:{rate.name}:{hashlib.sha256(who.encode()).hexdigest()[:24]}"
        wait = await self._shared_wait(name, rate, cost)
        if wait is None:
            wait = self._local_wait(name, rate, cost)
        if wait >= 1:
            raise TooMany("Too many requests; try again in {seconds} seconds.", wait, seconds=round(wait))
        if wait > 0:
            raise TooMany("Too many requests; try again.", wait)

    async def _shared_wait(self, name: str, rate: Rate, cost: float) -> float | None:
        if self._take is None or not self.shared:
            return None
        try:
            return float(await self._take(keys=[name], args=[rate.per_second, rate.burst, cost]))
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = self._monotonic() + AWAY_SECONDS
            log.warning("Redis does not answer (%s); limits count per process meanwhile", type(error).__name__)
            return None

    def _local_wait(self, name: str, rate: Rate, cost: float) -> float:
        now = self._monotonic()
        tokens, at = self._local.pop(name, (rate.burst, now))
        tokens = min(rate.burst, tokens + (now - at) * rate.per_second)
        wait = 0.0 if tokens >= cost else (cost - tokens) / rate.per_second
        self._local[name] = (tokens - cost if wait == 0 else tokens, now)
        while len(self._local) > MAX_LOCAL:
            self._local.popitem(last=False)
        return wait
