"""What two people make of one document comes together: nothing of either is lost, and whatever only a person can decide is told."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys import conflicts
from journeys import merge as merging
from journeys.errors import TooLarge
from journeys.merge import START, Merged, _Side, merge
from journeys.reading import read
from tests.journeys.graphs import documents

Raw = dict[str, Any]

BASE: Raw = {
    "spec": 1,
    "key": "welcome",
    "name": "Welcome",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}], "holdout_percent": 5},
    "start": "hello",
    "nodes": {
        "hello": {"kind": "send_email", "name": "Hello", "template": "hello"},
        "pause": {"kind": "wait", "name": "Pause", "duration": "P1D"},
        "end": {"kind": "exit"},
    },
    "edges": [{"from": "hello", "outlet": "sent", "to": "pause"}, {"from": "pause", "outlet": "next", "to": "end"}],
    "ui": {"positions": {"hello": {"x": 0, "y": 0}}, "notes": [{"id": "note", "text": "Ask legal", "color": "yellow", "x": 0, "y": 0}]},
}


def edited(*edits: Callable[[Raw], Any]) -> Raw:
    document = copy.deepcopy(BASE)
    for edit in edits:
        edit(document)
    return document


def put(id: str, **fields: Any) -> Callable[[Raw], Any]:
    return lambda document: document["nodes"].setdefault(id, {}).update(fields)


def lead(source: str, outlet: str, to: str | None) -> Callable[[Raw], Any]:
    def draw(document: Raw) -> None:
        if source == START:
            document["start"] = to
            return
        document["edges"] = [edge for edge in document["edges"] if (edge["from"], edge["outlet"]) != (source, outlet)]
        document["edges"] += [{"from": source, "outlet": outlet, "to": to}] if to else []

    return draw


def delete(id: str) -> Callable[[Raw], Any]:
    """As the builder does: whatever led to the step leads to what followed it."""

    def drop(document: Raw) -> None:
        follower = next((edge["to"] for edge in document["edges"] if edge["from"] == id), None)
        del document["nodes"][id]
        document.get("ui", {}).get("positions", {}).pop(id, None)
        edges = [edge for edge in document["edges"] if edge["from"] != id]
        led = [{**edge, "to": follower} if edge["to"] == id else edge for edge in edges]
        document["edges"] = [edge for edge in led if edge["to"] not in (None, id, edge["from"])]
        if document.get("start") == id:
            document["start"] = follower if follower != id else None

    return drop


def way(document: Raw, source: str, outlet: str) -> str | None:
    return conflicts.current(document, ("edges", source, outlet))


def found(mine: Raw, theirs: Raw) -> Merged:
    merged = merge(BASE, mine, theirs)
    read(merged.document)
    return merged


def test_edits_of_different_steps_and_of_different_fields_need_no_question() -> None:
    mine = edited(put("pause", duration="P2D"), put("hello", name="Hello there"), lambda one: one.update(name="Welcome!"))
    theirs = edited(put("hello", template="hi"), put("end", name="The end"), lambda one: one["entry"].update(holdout_percent=10))
    merged = found(mine, theirs)
    assert merged.conflicts == ()
    nodes = merged.document["nodes"]
    assert (nodes["pause"]["duration"], nodes["hello"]["name"], nodes["hello"]["template"]) == ("P2D", "Hello there", "hi")
    assert (nodes["end"]["name"], merged.document["name"], merged.document["entry"]["holdout_percent"]) == ("The end", "Welcome!", 10)


def test_the_same_value_from_both_is_no_conflict_and_two_values_are() -> None:
    assert found(edited(put("pause", duration="P2D")), edited(put("pause", duration="P2D"))).conflicts == ()
    merged = found(edited(put("pause", duration="P2D")), edited(put("pause", duration="P3D")))
    assert [(one.path, one.mine) for one in merged.conflicts] == [(("nodes", "pause", "duration"), "P2D")]
    assert merged.document["nodes"]["pause"]["duration"] == "P3D"


def test_steps_that_both_put_in_are_both_there() -> None:
    mine = edited(put("mine", kind="wait", duration="P1D"), lead("hello", "sent", "mine"), lead("mine", "next", "pause"))
    theirs = edited(put("theirs", kind="wait", duration="P2D"), lead("pause", "next", "theirs"), lead("theirs", "next", "end"))
    merged = found(mine, theirs)
    assert merged.conflicts == ()
    ways = [way(merged.document, *place) for place in (("hello", "sent"), ("mine", "next"), ("pause", "next"), ("theirs", "next"))]
    assert ways == ["mine", "pause", "theirs", "end"]


def test_two_steps_put_into_one_edge_follow_one_another_in_the_order_in_which_they_were_saved() -> None:
    def put_in(id: str) -> Raw:
        return edited(put(id, kind="wait", duration="P1D"), lead("hello", "sent", id), lead(id, "next", "pause"))

    merged = found(put_in("mine"), put_in("theirs"))
    assert merged.conflicts == ()
    assert [way(merged.document, *place) for place in (("hello", "sent"), ("theirs", "next"), ("mine", "next"))] == [
        "theirs",
        "mine",
        "pause",
    ]


def test_a_step_that_other_ways_lead_into_is_not_chained_but_asked_about() -> None:
    """Whoever comes by the other way would meet the step that was put into this edge alone."""
    mine = edited(put("mine", kind="wait", duration="P1D"), lead("hello", "sent", "mine"), lead("mine", "next", "pause"))
    shared = [put("shared", kind="wait", duration="P1D"), lead("hello", "sent", "shared"), lead("hello", "failed", "shared")]
    theirs = edited(*shared, lead("shared", "next", "pause"))
    for merged in (found(mine, theirs), found(theirs, mine)):
        assert [one.path for one in merged.conflicts] == [("edges", "hello", "sent")]


def test_what_was_put_first_into_the_start_and_has_two_ways_leads_to_the_other_by_those_that_led_on() -> None:
    mine = edited(put("first", kind="wait", duration="P1D"), lead(START, "next", "first"), lead("first", "next", "hello"))
    split = [put("split", kind="if_else", rule={"field": "email", "operator": "=", "value": "x"}), lead(START, "next", "split")]
    more = [
        put("more", kind="wait", duration="P2D"),
        lead("split", "yes", "more"),
        lead("more", "next", "hello"),
        lead("split", "no", "end"),
    ]
    merged = found(mine, edited(*split, *more))
    assert merged.conflicts == ()
    ways = ((START, "next"), ("split", "yes"), ("split", "no"), ("more", "next"), ("first", "next"))
    assert [way(merged.document, *place) for place in ways] == ["split", "more", "end", "first", "hello"]


def test_two_steps_at_one_open_end_or_in_place_of_one_another_are_kept_and_the_way_there_is_asked() -> None:
    def hung_on(id: str, outlet: str, **_: Any) -> Raw:
        return edited(put(id, kind="wait", duration="P1D"), lead("hello", outlet, id))

    for outlet in ("failed", "sent"):
        merged = found(hung_on("mine", outlet), hung_on("theirs", outlet))
        assert [(one.path, one.mine) for one in merged.conflicts] == [(("edges", "hello", outlet), "mine")]
        assert {"mine", "theirs"} <= merged.document["nodes"].keys()


def test_steps_put_into_an_edge_to_a_step_that_is_decided_as_a_whole_belong_to_that_decision() -> None:
    def put_in(id: str, *more: Callable[[Raw], Any]) -> Raw:
        return edited(put(id, kind="wait", duration="P1D"), lead("hello", "sent", id), lead(id, "next", "pause"), *more)

    merged = found(put_in("mine", put("pause", kind="exit")), put_in("theirs", put("pause", kind="wait_until")))
    assert ("nodes", "pause") in [one.path for one in merged.conflicts]
    assert way(merged.document, "theirs", "next") == "pause"


# Where nobody knows any more what one of them began with


def since_long(mine: Raw, theirs: Raw, base: Raw = BASE) -> Merged:
    """`base` is the oldest draft that is kept, and `mine` began before it."""
    merged = merge(base, mine, theirs, older=True)
    read(merged.document)
    return merged


def test_what_the_others_have_otherwise_than_one_who_was_long_away_is_asked_and_theirs_counts() -> None:
    mine = edited(put("pause", duration="P2D"), put("added", kind="exit"), lead("hello", "failed", "added"))
    merged = since_long(mine, edited(put("end", name="The end")))
    assert [(one.path, one.mine) for one in merged.conflicts] == [(("nodes", "pause", "duration"), "P2D")]
    nodes = merged.document["nodes"]
    assert (nodes["pause"]["duration"], nodes["end"]["name"], way(merged.document, "hello", "failed")) == ("P1D", "The end", "added")


def test_what_others_made_while_one_was_long_away_is_neither_taken_back_nor_asked_where_it_is_nobody_elses() -> None:
    kept = edited(
        put("late", kind="exit"), lead("hello", "failed", "late"), lambda one: one["entry"]["triggers"].append({"type": "manual"})
    )
    merged = since_long(copy.deepcopy(BASE), kept, kept)
    assert way(merged.document, "hello", "failed") == "late"
    assert {one.path for one in merged.conflicts} == {("nodes", "late"), ("parts", "entry", "triggers")}
    assert len(merged.document["entry"]["triggers"]) == 2


def test_a_step_that_the_others_took_out_meanwhile_is_gone_and_triggers_of_both_are_in() -> None:
    def enters(event: str) -> Callable[[Raw], Any]:
        return lambda document: document["entry"]["triggers"].append({"type": "event", "event": event})

    merged = since_long(edited(enters("One")), edited(delete("pause")))
    assert merged.conflicts == ()
    assert "pause" not in merged.document["nodes"]
    assert [one["event"] for one in merged.document["entry"]["triggers"]] == ["Signed Up", "One"]


def test_places_notes_and_questions_of_the_others_stay_as_they_are() -> None:
    question = {"path": ["nodes", "end", "name"], "mine": "x", "by": "member:1", "at": "", "over": "", "over_at": ""}
    kept = edited(lambda one: one["ui"].update(conflicts=[question], positions={"hello": {"x": 9, "y": 9}}, notes=[]))
    merged = since_long(edited(put("pause", duration="P2D")), kept, kept)
    assert merged.document["ui"]["conflicts"] == [question]
    assert merged.document["ui"]["positions"]["hello"] == {"x": 9, "y": 9}


def test_a_step_that_one_took_out_and_the_other_changed_is_asked_as_a_whole() -> None:
    gone, changed = edited(delete("pause")), edited(put("pause", duration="P2D"))
    merged = found(changed, gone)
    assert "pause" not in merged.document["nodes"]
    [conflict] = merged.conflicts
    assert conflict.path == ("nodes", "pause")
    assert conflict.mine["raw"]["duration"] == "P2D"
    back = conflicts.taken(conflicts.noted(merged.document, merged.conflicts, "member:1", "", {}), "pause", "member:1")
    assert back["nodes"]["pause"]["duration"] == "P2D"
    assert (way(back, "hello", "sent"), way(back, "pause", "next")) == ("pause", "end")
    assert "conflicts" not in back["ui"]

    other = found(gone, changed)
    assert other.document["nodes"]["pause"]["duration"] == "P2D"
    assert (way(other.document, "hello", "sent"), way(other.document, "pause", "next")) == ("pause", "end")
    away = conflicts.taken(conflicts.noted(other.document, other.conflicts, "member:1", "", {}), "pause", "member:1")
    assert "pause" not in away["nodes"]
    assert way(away, "hello", "sent") == "end"


def test_an_edge_to_a_step_that_the_other_took_out_is_asked_with_that_step() -> None:
    mine = edited(put("more", kind="wait", duration="P1D"), lead("hello", "failed", "more"), lead("more", "next", "pause"))
    merged = found(mine, edited(delete("pause")))
    assert [one.path for one in merged.conflicts] == [("nodes", "pause")]
    assert way(merged.document, "more", "next") is None
    back = conflicts.taken(conflicts.noted(merged.document, merged.conflicts, "member:1", "", {}), "pause", "member:1")
    assert way(back, "more", "next") == "pause"


def test_what_a_step_leads_to_stays_with_it() -> None:
    merged = found(edited(delete("pause"), delete("end"), lambda one: one.pop("start")), edited(put("pause", name="Rest")))
    assert way(merged.document, "pause", "next") == "end"
    assert {one.path for one in merged.conflicts} == {("nodes", "pause"), ("nodes", "end")}


def test_one_id_for_two_new_steps_is_asked() -> None:
    mine, theirs = (edited(put("new", kind="wait", duration=span), lead("pause", "next", "new")) for span in ("P1D", "P2D"))
    assert [one.path for one in found(mine, theirs).conflicts] == [("nodes", "new")]
    assert found(mine, mine).conflicts == ()


def test_triggers_and_exits_of_both_are_in() -> None:
    def also(event: str) -> Raw:
        return edited(lambda one: one["entry"]["triggers"].append({"type": "event", "event": event}))

    merged = found(also("Bought"), also("Asked"))
    assert merged.conflicts == ()
    assert [one["event"] for one in merged.document["entry"]["triggers"]] == ["Signed Up", "Asked", "Bought"]

    def instead(event: str) -> Raw:
        return edited(lambda one: one["entry"].update(triggers=[{"type": "event", "event": event}]))

    assert [one.path for one in found(instead("Bought"), instead("Asked")).conflicts] == [("parts", "entry", "triggers")]


def test_a_note_that_one_wrote_on_and_the_other_took_off_stays() -> None:
    def write(text: str) -> Raw:
        return edited(lambda one: one["ui"]["notes"][0].update(text=text))

    off = edited(lambda one: one["ui"].pop("notes"))
    for mine, theirs in ((write("Asked"), off), (off, write("Asked"))):
        assert found(mine, theirs).document["ui"]["notes"][0]["text"] == "Asked"
    merged = found(write("Mine"), write("Theirs"))
    assert [(one.path, one.mine) for one in merged.conflicts] == [(("notes", "note", "text"), "Mine")]


def test_what_is_not_right_yet_is_kept_as_typed() -> None:
    mine = edited(lambda one: one["ui"].update(unfinished={"goal": {"event": ""}}))
    theirs = edited(lambda one: one.update(description="About"))
    merged = found(mine, theirs)
    assert merged.conflicts == ()
    assert merged.document["ui"]["unfinished"] == {"goal": {"event": ""}}
    assert merged.document["description"] == "About"


def test_a_decision_of_one_holds_and_a_new_conflict_of_the_other_stays() -> None:
    clash = found(edited(put("pause", duration="P2D")), edited(put("pause", duration="P3D")))
    base = conflicts.noted(clash.document, clash.conflicts, "member:1", "", {})
    decided = conflicts.settled(base, "pause", "member:1")
    busy = copy.deepcopy(base)
    busy["nodes"]["end"]["name"] = "The end"
    for mine, theirs in ((decided, busy), (busy, decided)):
        merged = merge(base, mine, theirs)
        assert merged.conflicts == ()
        assert conflicts.open_in(merged.document) == []
        assert merged.document["nodes"]["end"]["name"] == "The end"


@pytest.mark.parametrize(
    "nonsense",
    ["x", [1], [{"path": []}], [{"path": ["nodes", "pause"]}], [{"path": ["nodes", "pause"], "mine": {"raw": {}, "edges": [[1, 2]]}}],
     [{"path": ["edges", "pause"]}], [{"path": ["moon", "pause", "x"]}], {"path": 1}],
)  # fmt: skip
def test_nonsense_in_the_place_of_conflicts_is_passed_over(nonsense: Any) -> None:
    document = edited(lambda one: one["ui"].update(conflicts=nonsense))
    assert conflicts.open_in(document) == []
    assert conflicts.issues(read(document)) == []
    assert conflicts.settled(document, "pause", "member:1")["nodes"] == BASE["nodes"]
    merge(BASE, document, edited(put("pause", duration="P2D")))


def test_a_question_that_was_answered_by_hand_does_not_come_back() -> None:
    clash = found(edited(put("pause", duration="P2D")), edited(put("pause", duration="P3D"), put("end", name="The end")))
    asked = conflicts.noted(clash.document, clash.conflicts, "member:1", "", {})
    assert conflicts.pruned(asked) == asked
    answered = copy.deepcopy(asked)
    answered["nodes"]["pause"]["duration"] = "P2D"
    answered = conflicts.pruned(answered)
    answered["nodes"]["pause"]["duration"] = "P9D"
    assert conflicts.open_in(answered) == []


def test_no_question_is_left_out_where_there_are_too_many() -> None:
    def fields(count: int) -> list[merging.Conflict]:
        return [merging.Conflict(("nodes", "pause", f"field{number}"), "mine") for number in range(count)]

    assert len(conflicts.open_in(conflicts.noted(BASE, fields(conflicts.MOST), "member:1", "", {}))) == conflicts.MOST
    with pytest.raises(TooLarge):
        conflicts.noted(BASE, fields(conflicts.MOST + 1), "member:1", "", {})


NOTE, NAME = ["notes", "x", "text"], ["parts", "name"]


@pytest.mark.parametrize(
    "ui",
    [{"conflicts": [{"path": NOTE, "mine": "a"}], "notes": ["s"]}, {"conflicts": [{"path": NOTE, "mine": "a"}], "notes": 5},
     {"conflicts": [{"path": NAME, "mine": "a"}], "unfinished": ["name"]}, {"conflicts": [{"path": NAME, "mine": "a"}], "unfinished": 7}],
)  # fmt: skip
def test_nonsense_beside_conflicts_is_passed_over(ui: Any) -> None:
    document = edited(lambda one: one.update(ui=ui))
    conflicts.issues(read(document))
    for decide in DECISIONS:
        for place in (START, "note"):
            read(decide(document, place, ""))
    merge(BASE, document, edited(put("pause", duration="P2D")))


@pytest.mark.parametrize(
    ("path", "mine"),
    [(["parts", "key"], "zzz"), (["parts", "nodes"], {}), (["nodes", "pause", "kind"], [1]), (["nodes", "pause", "kind"], None),
     (["edges", "pause", "next"], ["end"]), (["notes", "note", "text"], 5), (["notes", "note", "id"], "other")],
)  # fmt: skip
def test_what_no_document_can_have_is_no_choice(path: Any, mine: Any) -> None:
    document = edited(lambda one: one["ui"].update(conflicts=[{"path": path, "mine": mine, "by": "member:1"}]))
    assert conflicts.open_in(document) == []


# Properties


@st.composite
def changed(draw: st.DrawFn, document: Raw, author: str) -> Raw:
    """The document after some edits, each as the builder makes them."""
    now = copy.deepcopy(document)
    for number in range(draw(st.integers(0, 5))):
        draw(st.sampled_from(EDITS))(draw, now, f"{author}{number}")
    return now


def _id(draw: st.DrawFn, document: Raw) -> str:
    return draw(st.sampled_from(sorted(document["nodes"])))


def _rename(draw: st.DrawFn, document: Raw, _fresh: str) -> None:
    document["nodes"][_id(draw, document)]["name"] = draw(st.sampled_from(["One", "Two"]))


def _delete(draw: st.DrawFn, document: Raw, _fresh: str) -> None:
    if len(document["nodes"]) > 1:
        delete(_id(draw, document))(document)


def _insert(draw: st.DrawFn, document: Raw, fresh: str) -> None:
    if document["edges"]:
        edge = draw(st.sampled_from(document["edges"]))
        document["nodes"][fresh] = {"kind": "wait", "duration": "P1D"}
        target, edge["to"] = edge["to"], fresh
        document["edges"].append({"from": fresh, "outlet": "next", "to": target})


def _reconnect(draw: st.DrawFn, document: Raw, _fresh: str) -> None:
    if document["edges"]:
        draw(st.sampled_from(document["edges"]))["to"] = _id(draw, document)


def _describe(draw: st.DrawFn, document: Raw, _fresh: str) -> None:
    document[draw(st.sampled_from(["name", "description"]))] = draw(st.sampled_from(["One", "Two"]))


def _trigger(draw: st.DrawFn, document: Raw, _fresh: str) -> None:
    document["entry"]["triggers"].append({"type": "event", "event": draw(st.sampled_from(["One", "Two"]))})


def _move(draw: st.DrawFn, document: Raw, _fresh: str) -> None:
    document.setdefault("ui", {}).setdefault("positions", {})[_id(draw, document)] = {"x": draw(st.integers(0, 9)), "y": 0}


EDITS = [_rename, _delete, _insert, _reconnect, _describe, _trigger, _move]
LOOKS = ("places", "ui")


@st.composite
def triples(draw: st.DrawFn) -> tuple[Raw, Raw, Raw]:
    base = draw(documents(max_nodes=7))
    return base, draw(changed(base, "mine")), draw(changed(base, "theirs"))


def paths(document: Raw) -> dict[Any, Any]:
    return _Side(document).flat


@given(triples())
def test_who_changed_nothing_gets_what_the_other_made(triple: tuple[Raw, Raw, Raw]) -> None:
    base, mine, _ = triple
    for merged in (merge(base, mine, base), merge(base, base, mine), merge(base, mine, mine)):
        assert merged.conflicts == ()
        assert paths(merged.document) == paths(mine)


def told(merged: Merged) -> set[Any]:
    """Every place that a conflict is about: of a whole step its fields and its edges."""
    found: set[Any] = set()
    for one in merged.conflicts:
        found.add(one.path)
        if len(one.path) == 2 and one.path[0] == "nodes":
            found |= {("edges", source, outlet) for source, outlet, _ in one.mine["edges"]}
    return found


def beyond(base: Raw, flat: Any, path: Any) -> tuple[set[str], set[str]]:
    """What an edge leads to: the new steps that follow one another there, and the old ones behind them."""
    new, old, waiting = set(), set(), [flat.get(path)]
    while waiting:
        step = waiting.pop()
        if step in base["nodes"]:
            old.add(step)
        elif step is not None and step not in new:
            new.add(step)
            waiting += [to for (noun, source, *_), to in flat.items() if noun == "edges" and source == step]
    return new, old


@given(triples())
def test_no_step_that_either_put_in_is_left_unconnected_without_a_question(triple: tuple[Raw, Raw, Raw]) -> None:
    base, mine, theirs = triple
    merged = merge(base, mine, theirs)
    after, asked = paths(merged.document), told(merged)
    led = {to for path, to in after.items() if path[0] == "edges"}
    for side in (mine, theirs):
        for path, to in paths(side).items():
            if path[0] == "edges" and to not in base["nodes"]:
                assert to in led or path in asked or ("nodes", path[1]) in asked or ("nodes", to) in asked


@given(triples())
def test_no_edit_of_either_is_lost(triple: tuple[Raw, Raw, Raw]) -> None:
    base, mine, theirs = triple
    merged = merge(base, mine, theirs)
    before, after, asked = paths(base), paths(merged.document), told(merged)
    steps = {path[1] for path in asked if path[0] == "nodes" and len(path) == 2}
    for side in (mine, theirs):
        flat = paths(side)
        for path in {*flat, *before}:
            if flat.get(path) == before.get(path) or path[0] in LOOKS:
                continue
            in_it = after.get(path) == flat.get(path) or (path[0] == "edges" and flat.get(path) in set().union(*beyond(base, after, path)))
            both = path == ("parts", "entry", "triggers") and all(one in after[path] for one in flat[path])
            assert in_it or both or path in asked or path[1] in steps, path


@given(triples())
def test_whoever_saves_second_the_same_is_decided_and_the_same_is_asked(triple: tuple[Raw, Raw, Raw]) -> None:
    base, mine, theirs = triple
    one, other = merge(base, mine, theirs), merge(base, theirs, mine)
    if one.conflicts or other.conflicts:
        assert one.conflicts
        assert other.conflicts
        return
    first, second = paths(one.document), paths(other.document)
    for path in {*first, *second}:
        if path[0] == "edges":  # what both put into one edge is there in either order
            assert path[1] not in {*base["nodes"], START} or beyond(base, first, path) == beyond(base, second, path)
        elif path[0] not in LOOKS and path != ("parts", "entry", "triggers"):
            assert first.get(path) == second.get(path)


@given(triples())
def test_nothing_is_torn_and_every_decision_leads_to_a_document(triple: tuple[Raw, Raw, Raw]) -> None:
    merged = merge(*triple)
    whole = conflicts.noted(merged.document, merged.conflicts, "member:1", "", {})
    for document in (merged.document, *(decide(whole, one.place, one.by) for one in conflicts.open_in(whole) for decide in DECISIONS)):
        read(document)
        ends = {end for edge in document["edges"] for end in (edge["from"], edge["to"])} | {document.get("start") or "end"}
        assert ends - {"end"} <= document["nodes"].keys()


DECISIONS = (conflicts.taken, conflicts.settled)
