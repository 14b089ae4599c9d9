"""What `mj-attributes` and `mj-class` say about a component, as the reference implementation reads it.

The compiler in use lets the first of several classes win and knows no defaults inside a class; so all but `mj-all` is written into the
components before it works.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

from activities.rendering.markup import Element

Attributes = dict[str, str]


@dataclass(frozen=True, slots=True)
class Styles:
    """`tags`: component (or `mj-all`) -> defaults. `classes`: class -> attributes. `inner`: (class of the parent, component) -> defaults."""

    tags: dict[str, Attributes]
    classes: dict[str, Attributes]
    inner: dict[tuple[str, str], Attributes]

    def of(self, element: Element, parent_classes: str) -> Attributes:
        """The attributes of a component that count; a later class goes over an earlier one, its own go over all."""
        found = dict(self.tags.get(element.name, {}))
        for name in element.get("mj-class").split():
            added = dict(self.classes.get(name, {}))
            if "css-class" in added and "css-class" in found:
                added["css-class"] = f"{found['css-class']} {added['css-class']}"
            found.update(added)
        for name in parent_classes.split():
            found.update(self.inner.get((name, element.name), {}))
        found.update(_own(element))
        found.pop("mj-class", None)
        return found

    def resolve(self, element: Element, counting: Attributes) -> Callable[[str], str]:
        """Attribute -> its value with the defaults of everything under it, on one line; empty for none."""
        everything = self.tags.get("mj-all", {})
        return lambda name: " ".join(html.unescape(counting.get(name, everything.get(name, ""))).split())


def styles(root: Element) -> Styles:
    """What the head of a template says."""
    found = Styles({}, {}, {})
    for holder in root.walk():
        for one in holder.elements() if holder.name == "mj-attributes" else ():
            if one.name == "mj-class":
                _class(one, found)
            else:
                found.tags.setdefault(one.name, {}).update(_own(one))
    return found


def _class(element: Element, found: Styles) -> None:
    name = element.get("name")
    own = {key: value for key, value in _own(element).items() if key != "name"}
    found.classes.setdefault(name, {}).update(own)
    for inner in element.elements():
        found.inner.setdefault((name, inner.name), {}).update(_own(inner))


def _own(element: Element) -> Attributes:
    return {one.name: one.value for one in element.attributes.values() if one.value is not None}
