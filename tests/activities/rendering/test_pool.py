"""The processes that fill templates in: they answer as this process would, end alone, and do not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.rendering import INLINE, Library, Marks, RenderBusy, RenderFailed, RenderLimits, RenderPool, answered, link_digest
from activities.rendering.pool import ATTEMPTS, KEPT
from activities.templates.layouts import layouts
from activities.templates.samples import CONTACT, EVENT, made_up
from journeys.catalogue import Catalogue
from journeys.contact_rules import Askable
from journeys.errors import Invalid
from journeys.rules import DictFacts

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
PATIENT = RenderLimits(processes=2, cpu_seconds=600, deadline_seconds=600, wait_seconds=600)
MARKS = Marks(lambda digest: f"https://m.example/c/{digest}?a=1&b=2", "https://m.example/o/1", domains=frozenset({"e.org"}))
LONG = "{{ contact.a }}" * 15_000
"""Takes a second or more to read, the first time."""
LARGE = "".join(f"{{% set a{n} = contact.v.split('a') %}}" for n in range(35))
"""Lists of two hundred thousand texts, of 1.6 MB each."""
MANY = {"contact": {"v": "a" * 200_000}}
SMALL = replace(PATIENT, memory_bytes=24 * 2**20)


@pytest.fixture
def pool() -> Iterator[RenderPool]:
    pool = RenderPool(PATIENT)
    yield pool
    pool.close()


def all_started(pool: RenderPool) -> list[int]:
    """The processes, once as many as there may be are there: each is started when the ones before have something to do."""
    while len(pool.pids) < pool.limits.processes:
        stopped = pool.pids
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        with ThreadPoolExecutor(pool.limits.processes) as threads:
            asked = [threads.submit(pool.render_text, "x", {}) for _ in range(pool.limits.processes)]
            wait(asked, return_when=FIRST_COMPLETED)
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
    return pool.pids


def test_rules_are_read_and_answered_as_they_are_here(pool: RenderPool) -> None:
    known, texts = Library(askable=Askable(Catalogue.built_in())), {"en": {"text": "{% if rule({'tag': 'vip'}) %}vip{% endif %}"}}
    found = pool.compile_template(texts, "sms", library=known)
    assert found.to_json() == INLINE.compile_template(texts, "sms", library=known).to_json()
    for tags, text in ((["vip"], "vip"), ([], "")):
        assert pool.render(found, ["en"], answered(found, ["en"], DictFacts({}, tags), NOW)).text == text
    wrong = {"en": {"text": "{% if rule({'field': 'lifecycle_stge', 'operator': 'null'}) %}vip{% endif %}"}}
    with pytest.raises(Invalid) as caught:
        pool.compile_template(wrong, "sms", library=known)
    assert "Did you mean “lifecycle_stage”?" in caught.value.issues[0].message


def test_every_layout_is_filled_in_as_it_is_here(pool: RenderPool) -> None:
    for layout in layouts():
        compiled = pool.compile_template(layout.variants, "email", message_class=layout.message_class)
        assert compiled == INLINE.compile_template(layout.variants, "email", message_class=layout.message_class)
        values = {
            "contact": made_up("contact", compiled.fields, {**CONTACT, "n": Decimal("1.5"), "at": NOW, "none": None}, NOW),
            "trigger": made_up("trigger", compiled.fields, EVENT, NOW),
            "steps": made_up("steps", compiled.fields, {}, NOW),
            "sender": {"name": "Shop", "email": "shop@example.com", "address": "Hauptstraße 1"},
            "brand": {name.partition(".")[2]: "" for name in compiled.fields if name.startswith("brand.")},
            "now": NOW,
            "unsubscribe_url": "https://m.example/u/1",
            "preferences_url": "https://m.example/p/1",
            "view_url": "https://m.example/v/1",
        }
        for languages in (["de"], ["en"]):
            assert pool.render(compiled, languages, values, marks=MARKS) == INLINE.render(compiled, languages, values, marks=MARKS)


def test_links_are_signed_here_and_in_every_place(pool: RenderPool) -> None:
    mjml = '<mjml><mj-body><mj-section><mj-column><mj-button href="{{ contact.u }}">x</mj-button></mj-column></mj-section></mj-body></mjml>'
    compiled = pool.compile_template({"en": {"subject": "{{ contact.u|link }}", "mjml": mjml}}, "email")
    values = {"contact": {"u": "https://e.org/?q=1&r=2"}}
    found = pool.render(compiled, ["en"], values, marks=MARKS)
    assert found == INLINE.render(compiled, ["en"], values, marks=MARKS)
    assert found.subject == MARKS.click(link_digest("https://e.org/?q=1&r=2"))  # type: ignore[misc]


@pytest.mark.parametrize(("source", "code", "name"), [("{{ contact.b }}", "missing_value", "b"), ("{{ 1|date }}", "wrong_value", "date")])
def test_failures_are_those_of_this_process(pool: RenderPool, source: str, code: str, name: str) -> None:
    for renderer in (pool, INLINE):
        with pytest.raises(RenderFailed) as caught:
            renderer.render_text(source, {"contact": {"a": "Ada"}})
        assert (caught.value.code, caught.value.name) == (code, name)
    with pytest.raises(Invalid) as invalid:
        pool.compile_template({"en": {"subject": "{{ x", "mjml": "<mjml>"}}, "email")
    with pytest.raises(Invalid) as here:
        INLINE.compile_template({"en": {"subject": "{{ x", "mjml": "<mjml>"}}, "email")
    assert (invalid.value.issues, str(invalid.value)) == (here.value.issues, str(here.value))


def test_what_uses_its_cpu_time_up_ends_alone() -> None:
    pool = RenderPool(RenderLimits(processes=1, cpu_seconds=0.2, deadline_seconds=600, wait_seconds=600))
    assert pool.render_text("{{ contact.a }}", {"contact": {"a": "Ada"}}).text == "Ada"
    with pytest.raises(RenderFailed) as caught:
        pool.render_text(LONG, {"contact": {"a": "Ada"}})
    assert str(caught.value) == "too_long: time"
    assert pool.render_text("{{ contact.a }}", {"contact": {"a": "Ada"}}).text == "Ada"
    with pytest.raises(Invalid, match="takes too long"):
        pool.compile_template({"en": {"text": LONG}} | {f"{name}": {"text": LONG} for name in ("de", "fr", "it", "es")}, "sms")
    pool.close()


def test_what_comes_after_the_deadline_is_put_off_and_nobodys_fault() -> None:
    pool = RenderPool(RenderLimits(processes=1, cpu_seconds=600, deadline_seconds=0.2, wait_seconds=600))
    with pytest.raises(RenderBusy):
        pool.render_text(LONG, {"contact": {"a": "Ada"}})
    pool.close()


def test_what_takes_too_much_memory_ends_alone() -> None:
    pool = RenderPool(SMALL)
    for source, values, name in ((LARGE, MANY, "memory"), ("x", {"contact": {"v": "a" * 4_000_000}}, "values")):
        with pytest.raises(RenderFailed) as caught:
            pool.render_text(source, values)
        assert str(caught.value) == f"too_large: {name}"
        assert pool.render_text("x", {}).text == "x"
    pool.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_job_whose_process_is_killed_is_done_again(pool: RenderPool, number: signal.Signals) -> None:
    assert pool.render_text("x", {}).text == "x"
    [pid] = pool.pids
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(pool.render_text, "{{ contact.a }}", {"contact": {"a": "Ada"}})
        while pid not in pool.working:
            pass
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
        assert asked.result().text == "Ada"
    assert pid not in pool.pids


def test_a_job_that_crashes_native_code_twice_is_given_up_and_one_that_is_killed_comes_back(pool: RenderPool) -> None:
    for number, raised in ((signal.SIGSEGV, RenderFailed), (signal.SIGKILL, RenderBusy)):
        with ThreadPoolExecutor(1) as threads:
            asked: Future[Any] = threads.submit(pool.render_text, LONG + str(number), {"contact": {"a": "Ada"}})
            killed: set[int] = set()
            while not asked.done():
                for pid in pool.working - killed:
                    os.kill(pid, number)
                    killed.add(pid)
            assert isinstance(asked.exception(), raised)
            assert len(killed) >= (2 if raised is RenderFailed else ATTEMPTS)
    assert pool.render_text("x", {}).text == "x"


def test_what_once_went_over_a_limit_leaves_a_process_to_the_others() -> None:
    """Two hostile jobs wait on a process that stands still; everybody else's are done meanwhile, by the other one."""
    pool = RenderPool(SMALL)
    all_started(pool)
    with pytest.raises(RenderFailed):
        pool.render_text(LARGE, MANY)
    both = all_started(pool)
    for pid in both:
        os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(3) as threads:
        hostile = [threads.submit(pool.render_text, LARGE, MANY) for _ in range(3)]
        while not pool.working:
            pass
        [free] = pool.pids
        os.kill(free, signal.SIGCONT)
        assert [pool.render_text("{{ n }}", {"n": n}).text for n in range(50)] == [str(n) for n in range(50)]
        assert not any(one.done() for one in hostile)
        os.kill(next(pid for pid in both if pid != free), signal.SIGCONT)
        assert all(isinstance(one.exception(), RenderFailed) for one in hostile)
    pool.close()


def test_a_process_keeps_the_newest_templates_and_gets_forgotten_ones_again(pool: RenderPool) -> None:
    compiled = [pool.compile_template({"en": {"text": f"{n} {{{{ contact.a }}}}"}}, "sms") for n in range(KEPT + 5)]
    for _ in range(2):
        assert [pool.render(one, ["en"], {"contact": {"a": "x"}}).text for one in compiled] == [f"{n} x" for n in range(KEPT + 5)]


def test_a_process_makes_room_for_a_new_one_after_its_share_of_jobs() -> None:
    pool = RenderPool(RenderLimits(processes=1, renewed_after=3, wait_seconds=600))
    seen = []
    for _ in range(3):
        assert pool.render_text("x", {}).text == "x"
        seen += pool.pids
    assert len(set(seen)) == 1
    assert pool.pids == []
    assert pool.render_text("x", {}).text == "x"
    assert pool.pids != []
    pool.close()


def test_many_threads_share_the_processes(pool: RenderPool) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda n: pool.render_text("{{ n }}", {"n": n}).text, range(200))) == [str(n) for n in range(200)]
    assert len(pool.pids) <= pool.limits.processes


def test_a_process_has_no_key_and_no_setting(pool: RenderPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFADWERK_SECRET_KEY", "k1:" + "s" * 32)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s" * 32)
    pool.render_text("x", {})
    [pid] = pool.pids
    environment = Path(f"/proc/{pid}/environ")
    if environment.exists():
        assert b"s" * 32 not in environment.read_bytes()


PROGRAM = """
import sys
from activities.rendering import RenderLimits, RenderPool
pool = RenderPool(RenderLimits(processes=1, cpu_seconds=3600, deadline_seconds=3600))
pool.render_text("x", {})
print(*pool.pids, flush=True)
sys.stdin.readline()
"""


def test_nothing_outlives_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    latest = time.monotonic() + 60
    while is_running(pid) and time.monotonic() < latest:
        threading.Event().wait(0.02)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" if Path("/proc/self").exists() else True
    except (ProcessLookupError, FileNotFoundError):
        return False
