"""Who goes by which clock (decision 038): the product's own, or real time."""

from __future__ import annotations

import ast

import pytest

from tests.test_circles import modules

REAL = {
    "api.public.embedded_forms", "api.admin.accounts", "api.admin.notices", "api.admin.sending_domains", "api.admin.sending_plans", "api.admin.team", "api.auth.access", "api.auth.login", "api.http.errors",
    "api.callbacks.endpoints", "builder_ui.builder.others", "builder_ui.settings.account", "builder_ui.settings.keys", "builder_ui.settings.notices",
    "builder_ui.settings.provider_account", "builder_ui.settings.provider_accounts", "builder_ui.settings.second_factor", "builder_ui.settings.sending_domains",
    "builder_ui.settings.sending_plan", "builder_ui.settings.sending_rates", "builder_ui.settings.sharing", "builder_ui.settings.stopped_accounts", "builder_ui.settings.user", "commands.start", "engine.presence", "engine.takeover",
}  # fmt: skip
"""They ask for real time alone: who may come in, which process is alive, which account takes messages, what people do with them."""
BOTH = {
    "api.public.endpoints", "api.tracking.site", "activities.sending.coupon_codes", "api.admin.imports", "api.admin.workspace", "api.app", "api.in_app.endpoints", "api.in_app.visitor", "api.public.forms", "builder_ui.contacts.import_forms", "builder_ui.kit.components", "builder_ui.kit.context",
    "builder_ui.settings.users", "commands.providers", "engine.clock", "engine.engine", "engine.jobs.worker", "engine.keeper", "engine.segments.evaluator", "worker", "workspace.audit",
    "engine.companies.roller",
}  # fmt: skip
"""They serve both: each call says which."""
WALL = {
    "activities.providers.outbox", "activities.providers.ses", "activities.providers.site_inbox", "activities.providers.smtp", "activities.sending.breakers", "activities.sending.quotas", "commands.backup", "commands.doctor",
    "commands.simulate", "engine.clock", "engine.presence", "engine.stamp", "workspace.audit",
}  # fmt: skip
"""They read the clock of the machine themselves: the clock, what works without an engine, and what is given another one in tests."""
TOLD = ("workspace", "engine.jobs.leases", "engine.open_builders")
"""They are told the instant, and it is real: nobody hands them the product's."""


def reads(module: ast.AST) -> set[str]:
    """`wall` for the clock of the machine, `now` for the product's, `real_now` for real time."""
    found = set[str]()
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "real_now"):
            of_machine = isinstance(node.value, ast.Name) and node.value.id == "datetime"
            found.add("wall" if of_machine else node.attr)
    return found


@pytest.fixture(scope="module")
def read() -> dict[str, set[str]]:
    return {name: reads(ast.parse(path.read_text())) for name, path in modules().items()}


def asking(read: dict[str, set[str]], what: str) -> set[str]:
    return {name for name, found in read.items() if what in found}


def test_real_time_is_asked_for_where_it_is_listed(read: dict[str, set[str]]) -> None:
    assert asking(read, "real_now") == (REAL | BOTH) & set(read)


def test_what_goes_by_real_time_never_reads_the_clock_of_the_product(read: dict[str, set[str]]) -> None:
    assert asking(read, "now") & REAL == set()
    assert {name for name in asking(read, "now") if name.startswith(TOLD)} == set()


def test_the_clock_of_the_machine_has_one_reader_where_there_is_an_engine(read: dict[str, set[str]]) -> None:
    assert asking(read, "wall") == WALL & set(read)


def test_a_clock_is_told_from_the_machine() -> None:
    assert reads(ast.parse("a = engine.clock.now()\nb = datetime.now(UTC)\nc = app.real_now()")) == {"now", "wall", "real_now"}
