"""Draws how cost grows: time for one, and memory, over the size; as SVG that is readable in light and in dark."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from _points import Point

WIDTH, HEIGHT, TOP, SIDE = 380, 240, 46, 92  # of a panel, in pixels
STYLE = """
svg { font: 13px system-ui, sans-serif; --paper: #fff; --ink: #24292f; --grid: #d8dee4 }
@media (prefers-color-scheme: dark) { svg { --paper: #0d1117; --ink: #d1d7de; --grid: #30363d } }
text { fill: var(--ink) } .paper { fill: var(--paper) } .grid { stroke: var(--grid) }
polyline { fill: none; stroke-width: 2.5 } .end { text-anchor: end } .middle { text-anchor: middle }
"""
COLOURS = ("#d1660f", "#3b82d6", "#2f9e58", "#a860d8", "#c94f6d", "#8a8f98")  # readable on white and on black


@dataclass(frozen=True, slots=True)
class Axis:
    """The marks of an axis, from its beginning to its end, with a text each. By tens, each is ten times the last."""

    marks: tuple[float, ...]
    texts: tuple[str, ...]
    is_by_tens: bool = True

    def share(self, value: float) -> float:
        """Return where a value lies, from 0 at the first mark to 1 at the last."""
        first, last, here = (math.log10(at) if self.is_by_tens else at for at in (self.marks[0], self.marks[-1], value))
        return (here - first) / (last - first)


def draw(points: Sequence[Point]) -> str:
    """Return the picture: on the left the time for one, on the right memory, and below what the colours mean."""
    curves: dict[str, list[Point]] = {}
    for point in points:
        curves.setdefault(point.curve, []).append(point)
    colours = dict(zip(curves, itertools.cycle(COLOURS), strict=False))
    sizes = _by_tens([point.size for point in points], "{:,.0f}")
    times = _by_tens([point.microseconds for point in points], "{:,.0f} µs")
    step = 10 * math.ceil(max(point.peak_mib for point in points) / 40) or 10
    memory = Axis(tuple(step * at for at in range(5)), tuple(f"{step * at} MiB" for at in range(5)), is_by_tens=False)
    time_lines = [(colours[curve], [(one.size, one.microseconds) for one in found]) for curve, found in curves.items()]
    memory_lines = [
        (colours[curve], [(one.size, one.peak_mib) for one in found])
        for curve, found in curves.items()
        if all(one.peak_mib for one in found)
    ]
    below = TOP + HEIGHT + 62
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * (SIDE + WIDTH) + 50} '
            f'{below + 20 * len(curves)}" role="img">',
            "<title>Time for one, and memory, as the work grows</title>",
            f'<style>{STYLE}</style><rect class="paper" width="100%" height="100%" rx="6"/>',
            *_panel(SIDE, "processor time for one, start included", sizes, times, time_lines),
            *_panel(2 * SIDE + WIDTH + 14, "peak memory of the command", sizes, memory, memory_lines),
            *itertools.chain(*(_key(below + 20 * row, curve, colours[curve]) for row, curve in enumerate(curves))),
            "</svg>\n",
        ]
    )


def _by_tens(values: Sequence[float], form: str) -> Axis:
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    marks = tuple(10.0**power for power in range(first, max(last, first + 1) + 1))
    return Axis(marks, tuple(map(form.format, marks)))


def _panel(
    left: float, title: str, across: Axis, up: Axis, lines: Sequence[tuple[str, Sequence[tuple[float, float]]]]
) -> Iterator[str]:
    """Yield a panel whose axes begin at `left`; a line is a colour and its points."""
    bottom = TOP + HEIGHT
    yield f'<text x="{left}" y="{TOP - 18}" font-weight="600">{title}</text>'
    for mark, text in zip(up.marks, up.texts, strict=True):
        y = bottom - HEIGHT * up.share(mark)
        yield f'<line class="grid" x1="{left}" x2="{left + WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="end" x="{left - 8}" y="{y + 4:.1f}">{text}</text>'
    for mark, text in zip(across.marks, across.texts, strict=True):
        x = left + WIDTH * across.share(mark)
        yield f'<text class="middle" x="{x:.1f}" y="{bottom + 20}">{text}</text>'
    yield f'<text class="end" x="{left + WIDTH}" y="{bottom + 38}">items, runs, rows or chunks</text>'
    for colour, points in lines:
        places = [(left + WIDTH * across.share(x), bottom - HEIGHT * up.share(y)) for x, y in points]
        yield f'<polyline stroke="{colour}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in places)


def _key(y: float, curve: str, colour: str) -> tuple[str, str]:
    return (
        f'<circle cx="{SIDE + 6}" cy="{y - 4}" r="5" fill="{colour}"/>',
        f'<text x="{SIDE + 20}" y="{y}">{escape(curve)}</text>',
    )
