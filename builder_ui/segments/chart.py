"""The members of a segment over the last days, as a line."""

from __future__ import annotations

from collections.abc import Sequence

from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html, svg

WIDTH, HEIGHT, MARGIN = 120.0, 32.0, 2.0


def line(t: Translator, counts: Sequence[int]) -> Element:
    """`counts`: members at the end of each day, the oldest first; at least one. Says the first and the last to those who cannot see it."""
    said = t("From {first} to {last} in {days} days", first=t.number(counts[0]), last=t.number(counts[-1]), days=t.number(len(counts) - 1))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places(counts))
    floor = f"{WIDTH - MARGIN:.1f},{HEIGHT:.1f} {MARGIN:.1f},{HEIGHT:.1f}"
    return svg.svg(
        {"className": "spark", "viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "preserveAspectRatio": "none", "role": "img", "aria-label": said},
        svg.polygon({"className": "under", "points": f"{points} {floor}"}),
        svg.polyline({"className": "over", "points": points}),
    )


def change(t: Translator, counts: Sequence[int]) -> Element:
    """How many more, or fewer, than on the first day."""
    more = counts[-1] - counts[0]
    return html.span({"className": "quiet"}, f"+{t.number(more)}" if more > 0 else t.number(more) if more else "±0")


def places(counts: Sequence[int]) -> list[tuple[float, float]]:
    """(x, y) of each day; what does not change lies in the middle."""
    least, most = min(counts), max(counts)
    step = (WIDTH - 2 * MARGIN) / max(len(counts) - 1, 1)
    height = HEIGHT - 2 * MARGIN

    def up(count: int) -> float:
        return (count - least) / (most - least) if most > least else 0.5

    return [(MARGIN + step * n, HEIGHT - MARGIN - height * up(count)) for n, count in enumerate(counts)]
