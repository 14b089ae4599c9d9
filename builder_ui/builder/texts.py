"""The words of the canvas: every text that its JavaScript may show (`t("…")` there), handed in translated."""

from __future__ import annotations

from builder_ui.speech import Speech

CANVAS = (
    "1 problem",
    "Add a step",
    "Add a step after “{outlet}”",
    "Add a step here",
    "Added: {name}",
    "Choose everything",
    "Choose the step and show its form",
    "Close",
    "Connection point",
    "Copied: {count}",
    "Copy, cut, paste, also into another journey",
    "Delete",
    "Deleted. Ctrl+Z brings it back.",
    "Draw a frame to choose many",
    "Duplicate",
    "Editing",
    "Find",
    "Find in the journey",
    "Fit everything in",
    "Go from step to step",
    "Keyboard shortcuts",
    "Map of the journey",
    "Move the chosen steps",
    "Next match",
    "No step fits.",
    "Nothing found",
    "Pasted: {count}",
    "Press Enter to choose the connection, Delete to delete it.",
    "Press Enter to choose the step, the arrow keys to move it, Delete to delete it.",
    "Redo",
    "Save now",
    "Search steps",
    "Steps to add",
    "The clipboard holds no steps.",
    "The step was moved.",
    "There is nothing to redo.",
    "There is nothing to undo.",
    "This list",
    "Tidy up",
    "Undo",
    "View",
    "Zoom in",
    "Zoom out",
    "entered so far",
    "waiting here now",
    "{count} problems",
)


def for_canvas(speech: Speech) -> dict[str, str]:
    return {text: speech(text) for text in CANVAS}
