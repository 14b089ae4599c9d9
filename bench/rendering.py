"""What it costs to fill templates in in processes of their own: the same mails in this process and through a pool, side by side. Prints one JSON object."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from statistics import median
from time import perf_counter
from typing import Any

from activities.rendering import INLINE, CompiledTemplate, Marks, Rendered, Renderer, RenderPool
from activities.templates.layouts import layouts
from activities.templates.samples import CONTACT, EVENT, made_up
from bench.measure import machine, spread_ms

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ROUNDS = 5
THREADS = 20
"""As many as a worker sends at the same time."""


QUICK: Mapping[str, Any] = {"rounds": 2, "mails": 200}
"""Arguments of `run` for a figure in under a minute: the same pairs, fewer rounds."""


def run(rounds: int = ROUNDS, mails: int = 400) -> dict[str, Any]:
    """Milliseconds per mail, one after the other; mails per second from many threads; and the ratio of the two, the median of the rounds."""
    load = machine()
    layout = next(one for one in layouts() if one.key == "newsletter")
    pool = RenderPool()
    try:
        compiled = pool.compile_template(layout.variants, "email", message_class=layout.message_class)
        jobs = {name: _job(renderer, compiled) for name, renderer in (("inline", INLINE), ("pool", pool))}
        size = {name: job().size_bytes for name, job in jobs.items()}
        alone: dict[str, list[float]] = {name: [] for name in jobs}
        together: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(rounds):
            for name, job in jobs.items():
                alone[name] += [_seconds(job) for _ in range(mails)]
                together[name].append(_per_second(job, mails))
    finally:
        pool.close()
    return {
        "machine": load,
        "mail_bytes": size["pool"],
        "ms_per_mail": {name: spread_ms(seconds) for name, seconds in alone.items()},
        "mails_per_s": {name: round(median(found)) for name, found in together.items()},
        "throughput_ratio": round(median(p / i for p, i in zip(together["pool"], together["inline"], strict=True)), 2),
    }


def render_job(renderer: Renderer) -> tuple[Callable[[], Rendered], int]:
    """What fills the newsletter in with tracking links, and how many bytes come of it."""
    layout = next(one for one in layouts() if one.key == "newsletter")
    job = _job(renderer, renderer.compile_template(layout.variants, "email", message_class=layout.message_class))
    return job, job().size_bytes


def _job(renderer: Renderer, compiled: CompiledTemplate) -> Callable[[], Rendered]:
    values: dict[str, Any] = {
        "contact": made_up("contact", compiled.fields, CONTACT, NOW),
        "trigger": made_up("trigger", compiled.fields, EVENT, NOW),
        "sender": {"name": "Shop", "email": "shop@example.com", "address": "Hauptstraße 1"},
        "brand": {name.partition(".")[2]: "#1f5fbf" for name in compiled.fields if name.startswith("brand.")},
        "now": NOW,
        **{f"{name}_url": f"https://m.example/{name}" for name in ("unsubscribe", "preferences", "view")},
    }
    marks = Marks(lambda digest: f"https://m.example/c/{digest}", "https://m.example/o/1")
    return lambda: renderer.render(compiled, ["de"], values, marks=marks)


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _per_second(job: Callable[[], object], mails: int) -> float:
    with ThreadPoolExecutor(THREADS) as threads:
        start = perf_counter()
        for done in [threads.submit(job) for _ in range(mails)]:
            done.result()
        return mails / (perf_counter() - start)


if __name__ == "__main__":
    print(json.dumps(run()))
