"""Journeys of any size without issues: for benchmarks (always the same ones) and for property tests (Hypothesis chooses).

`choose(n)` gives a number from 0 to n - 1; it is the only source of variety.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from journeys.draws import draw

Choose = Callable[[int], int]
Raw = dict[str, Any]

MAIL = "mail"
"""The one template these journeys send."""
POOL = "sales"
OTHER_JOURNEY = "other"


def chooser(seed: str) -> Choose:
    """The same choices for the same seed, on every machine."""
    made = iter(range(10**9))
    return lambda n: int(draw(seed, str(next(made))) * n)


def journey_document(size: int, seed: str = "bench", *, cycles: bool = False) -> Raw:
    """A document of `size` nodes (at least 2), the same one for the same arguments."""
    return grow(size, chooser(seed), cycles=cycles)


def grow(size: int, choose: Choose, *, cycles: bool = False) -> Raw:
    """A document of `size` nodes: each new node hangs on an open outlet of an earlier one, the last is the exit.

    Outlets that stay open lead to a later node or the exit; with `cycles` the long waits among them may lead back.
    """
    nodes: dict[str, Raw] = {}
    open_ends: list[tuple[str, str]] = []
    edges: list[Raw] = []
    for number in range(size - 1):
        node_id = f"n{number}"
        nodes[node_id], outlets = _KINDS[choose(len(_KINDS))](choose, nodes)
        if number:
            source, outlet = open_ends.pop(choose(len(open_ends)))
            edges.append({"from": source, "outlet": outlet, "to": node_id})
        open_ends += [(node_id, outlet) for outlet in outlets]
    nodes["end"] = {"kind": "exit"}
    *others, (last, outlet_of_last) = open_ends
    for source, outlet in others:
        edges.append({"from": source, "outlet": outlet, "to": _target(nodes, source, outlet, choose, cycles)})
    edges.append({"from": last, "outlet": outlet_of_last, "to": "end"})
    return {
        "spec": 1,
        "key": "grown",
        "name": "Grown",
        "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
        "start": next(iter(nodes)),
        "nodes": nodes,
        "edges": edges,
    }


def _target(nodes: dict[str, Raw], source: str, outlet: str, choose: Choose, cycles: bool) -> str:
    ids = list(nodes)
    waits = nodes[source]["kind"] == "wait" or outlet == "timed_out"
    first = 0 if cycles and waits and choose(4) == 0 else ids.index(source) + 1
    # Every other path ends here, so that walks stay short in large graphs.
    return "end" if choose(2) == 0 else ids[first + choose(len(ids) - first)]


def _rule(choose: Choose) -> Raw:
    terms: list[Raw] = [
        {"field": "lifecycle_stage", "operator": "=", "value": ("lead", "customer", "mql")[choose(3)]},
        {"score": "engagement", "operator": ">=", "value": 10 * choose(10)},
        {"tag": ("vip", "new", "old")[choose(3)], "has": choose(2) == 0},
        {"event": "Order Completed", "within": "P30D"},
        {"consent": "email"},
    ]
    start = choose(len(terms))
    return {"combinator": ("and", "or")[choose(2)], "not": choose(4) == 0, "rules": [terms[(start + i) % len(terms)] for i in range(3)]}


Made = tuple[Raw, tuple[str, ...]]


def _wait(choose: Choose, nodes: dict[str, Raw]) -> Made:
    return {"kind": "wait", "duration": f"PT{1 + choose(200)}M"}, ("next",)


def _wait_until(choose: Choose, nodes: dict[str, Raw]) -> Made:
    if choose(3) == 0:
        return {"kind": "wait_until", "until": {"type": "date", "field": "created_at", "offset": f"P{choose(9)}D"}}, ("next", "passed")
    return {"kind": "wait_until", "until": {"type": "clock", "at": f"{8 + choose(10):02}:30"}}, ("next",)


def _wait_for(choose: Choose, nodes: dict[str, Raw]) -> Made:
    branches: list[Raw] = [{"name": "bought", "event": "Order Completed"}, {"name": "fits", "rule": _rule(choose)}]
    kept = branches[: 1 + choose(2)]
    return {"kind": "wait_for", "branches": kept, "timeout": f"PT{1 + choose(72)}H"}, (
        *(str(branch["name"]) for branch in kept),
        "timed_out",
    )


def _if_else(choose: Choose, nodes: dict[str, Raw]) -> Made:
    return {"kind": "if_else", "rule": _rule(choose)}, ("yes", "no")


def _switch(choose: Choose, nodes: dict[str, Raw]) -> Made:
    cases = [{"name": name, "rule": _rule(choose)} for name in ("a", "b", "c")[: 1 + choose(3)]]
    return {"kind": "switch", "cases": cases}, (*(str(case["name"]) for case in cases), "otherwise")


def _split(choose: Choose, nodes: dict[str, Raw]) -> Made:
    share = 10 * choose(11)
    return {"kind": "split", "arms": [{"name": "a", "percent": share}, {"name": "b", "percent": 100 - share}]}, ("a", "b")


def _send_email(choose: Choose, nodes: dict[str, Raw]) -> Made:
    return {"kind": "send_email", "template": MAIL}, ("sent", "skipped", "failed") if choose(3) == 0 else ("sent",)


def _notify_team(choose: Choose, nodes: dict[str, Raw]) -> Made:
    return {"kind": "notify_team", "to": ["owner"], "text": "{{ contact.first_name }} is here."}, ("next",)


def _update_contact(choose: Choose, nodes: dict[str, Raw]) -> Made:
    return {"kind": "update_contact", "set": {"lifecycle_stage": ("lead", "mql")[choose(2)]}, "add_tags": ["new"]}, ("next",)


def _change_score(choose: Choose, nodes: dict[str, Raw]) -> Made:
    return {"kind": "change_score", "points": choose(30) - 10}, ("next",)


def _create_task(choose: Choose, nodes: dict[str, Raw]) -> Made:
    return {"kind": "create_task", "title": "Call", "sla": f"PT{1 + choose(8)}H", "outcomes": ["won", "lost"]}, ("next",)


def _wait_for_task(choose: Choose, nodes: dict[str, Raw]) -> Made:
    tasks = [node_id for node_id, node in nodes.items() if node["kind"] == "create_task"]
    if not tasks:
        return _create_task(choose, nodes)
    return {"kind": "wait_for_task", "task": tasks[choose(len(tasks))], "outcomes": ["won", "lost"]}, ("won", "lost", "overdue")


def _assign_owner(choose: Choose, nodes: dict[str, Raw]) -> Made:
    return {"kind": "assign_owner", "pool": POOL}, ("next",)


def _call_webhook(choose: Choose, nodes: dict[str, Raw]) -> Made:
    return {"kind": "call_webhook", "url": "https://example.com/hook", "body": {"email": "{{ contact.email }}"}}, ("ok", "failed")


def _start_journey(choose: Choose, nodes: dict[str, Raw]) -> Made:
    return {"kind": ("start_journey", "end_journey")[choose(2)], "journey": OTHER_JOURNEY}, ("next",)


_KINDS: tuple[Callable[[Choose, dict[str, Raw]], Made], ...] = (
    _wait,
    _wait_until,
    _wait_for,
    _if_else,
    _switch,
    _split,
    _send_email,
    _notify_team,
    _update_contact,
    _change_score,
    _create_task,
    _wait_for_task,
    _assign_owner,
    _call_webhook,
    _start_journey,
)
