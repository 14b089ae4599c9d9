"""Segments and scoring models that would ask for each other in a circle: then none could be judged before the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy.orm import Session

from journeys.errors import Issue
from journeys.topics import of_segment
from storage import segment_marks
from storage.segment_marks import asks_of

MODEL = "scoring:"
"""How the name of a scoring model begins; that of a segment is its topic."""


def circle(session: Session, name: str, gives: Collection[str], asks: Collection[str], field: str) -> Iterator[Issue]:
    """What is wrong if `name`, which changes the topics `gives`, asked for `asks`; `field` is where that is said."""
    known = segment_marks.known(session)
    nodes = {of_segment(one.key): ({of_segment(one.key)}, set(one.topics)) for one in known.by_id.values()}
    nodes |= {f"{MODEL}{one.key}": (set(one.gives), asks_of(one.topics, one.gives)) for one in known.models.values()}
    nodes[name] = (set(gives), set(asks))
    givers: dict[str, list[str]] = {}
    for one, (given, _) in nodes.items():
        for topic in given:
            givers.setdefault(topic, []).append(one)
    leads = {one: sorted({giver for topic in asked for giver in givers.get(topic, ())}) for one, (_, asked) in nodes.items()}
    way = _way(name, leads[name], leads)
    if way is not None:
        said = " → ".join(one.removeprefix(of_segment("")) for one in (name, *way))
        yield Issue(
            code="segment_circle", text="These would ask for each other in a circle: {circle}.", values={"circle": said}, field=field
        )


def _way(goal: str, asked: Sequence[str], asks: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The shortest from what is `asked` to the goal."""
    before: dict[str, str] = dict.fromkeys(asked, "")
    coming = [*asked]
    for key in coming:  # it grows
        if key == goal:
            way = [key]
            while before[way[0]]:
                way.insert(0, before[way[0]])
            return way
        for one in asks.get(key, ()):
            if one not in before:
                before[one] = key
                coming.append(one)
    return None
