"""The kinds of step: a file each, their names in `built_in`, and the palette that knows them by name."""

from journeys.nodes.built_in import BUILT_IN
from journeys.nodes.node import Node
from journeys.nodes.palette import Palette

__all__ = ["BUILT_IN", "Node", "Palette"]
