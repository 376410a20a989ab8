"""The charts of a report: paths of SVG in units of columns, stretched to the width of the page."""

from __future__ import annotations

from collections.abc import Sequence

from trailblazer.plain import counted
from trailblazer.record.outcomes import Status
from trailblazer.reports.course.model import Course, Durations, Timeline
from trailblazer.reports.page.blocks import Chart, Key, Shape
from trailblazer.reports.page.words import clock, said, share, short_item, span

LOOKS = {
    "success": "good", "unchanged": "same", "skipped": "skip", "error": "bad", "timeout": "late",
    "cancelled": "stop", "unrun": "wait", "running": "busy", "left": "busy",
}  # fmt: skip
MOOD_LOOKS = {"good": "good", "bad": "bad", "busy": "busy", "odd": "late"}
_SLOT_WORDS = {
    "good": "good", "same": "unchanged", "bad": "failed", "late": "timed out", "skip": "skipped", "busy": "at work",
    "stop": "put back or cancelled", "pause": "everything waits for a provider",
}  # fmt: skip
_ROW = 10  # units of height of one slot


def outcome_bar(course: Course) -> Chart:
    """Return the bar of outcomes: one part for each status, and what they are called."""
    counts, planned = dict(course.counts), max(1, course.counts["planned"])
    shapes, keys, start = [], [], 0.0
    running = min(len(course.underway), counts["unrun"])
    parts = [(status.value, counts[status.value], said(status.value)) for status in Status]
    parts += [("running", running, "running"), ("unrun", counts["unrun"] - running, "waiting")]
    for status, count, word in parts:
        if count:
            width = 1000 * count / planned
            shapes.append(Shape(LOOKS[status], _box(start, 0, max(width, 2), 10), f"{word}: {count:,}"))
            keys.append(Key(LOOKS[status], f"{count:,} {word} ({share(count, planned)})"))
            start += width
    label = "; ".join(key.text for key in keys) or "no items"
    return Chart(f"Items by outcome: {label}", 1000, 10, 36, tuple(shapes), (), tuple(keys))


def slot_chart(course: Course) -> Chart:
    """Return what each slot did over time: every attempt where they are few, else the worst of each moment."""
    timeline = course.timeline
    rows = max(1, len(timeline.slots))
    shapes = _bars_of(timeline) if timeline.bars else _letters_of(timeline)
    scale = timeline.seconds or 1.0
    waits = [
        Shape("pause", _box(1000 * at * timeline.width / scale, 0, 1000 * timeline.width / scale, rows * _ROW))
        for at, part in enumerate(timeline.waited)
        if part > 0.5
    ]
    looks = {shape.look for shape in (*waits, *shapes)}
    keys = tuple(Key(look, word) for look, word in _SLOT_WORDS.items() if look in looks)
    label = f"What {counted(timeline.most_slots, 'slot')} did in {span(timeline.seconds)}"
    pixels = max(24, min(360, 14 * rows))
    return Chart(label, 1000, rows * _ROW, pixels, (*waits, *shapes), axis_of(course), keys)


def _bars_of(timeline: Timeline) -> list[Shape]:
    scale = 1000 / (timeline.seconds or 1.0)
    shapes = []
    for bar in timeline.bars:
        if bar.slot < len(timeline.slots):
            path = _box(bar.start * scale, bar.slot * _ROW + 1, max(1.0, (bar.end - bar.start) * scale), _ROW - 2)
            took = span(bar.end - bar.start)
            title = f"{short_item(bar.item)}, attempt {bar.attempt}: {said(bar.status)} after {took}"
            shapes.append(Shape(LOOKS.get(bar.status, "stop"), path, title))
    return shapes


def _letters_of(timeline: Timeline) -> list[Shape]:
    """Return one path for each colour: a box for each run of equal letters."""
    unit = 1000 * timeline.width / (timeline.seconds or 1.0)
    paths: dict[str, list[str]] = {"g": [], "f": [], "o": []}
    for slot, letters in enumerate(timeline.slots):
        start = 0
        for at in range(1, len(letters) + 1):
            if at == len(letters) or letters[at] != letters[start]:
                if letters[start] in paths:
                    width = min(at * unit, 1000) - start * unit
                    paths[letters[start]].append(_box(start * unit, slot * _ROW + 1, width, _ROW - 2))
                start = at
    looks = {"g": "good", "f": "bad", "o": "stop"}
    return [Shape(looks[letter], "".join(boxes)) for letter, boxes in paths.items() if boxes]


def load_chart(course: Course, workers: int) -> Chart:
    """Return how many attempts ran over time, under the number of slots."""
    timeline = course.timeline
    allowed = _allowed(timeline, workers)
    top = max([float(workers), *allowed, *timeline.busy]) or 1.0
    limit = [slots * (1 - part) for slots, part in zip(allowed, timeline.waited, strict=True)]
    shapes = (
        Shape("area", _steps(timeline.busy, top, is_closed=True)),
        Shape("limit", _steps(limit, top, is_closed=False)),
    )
    keys = (
        Key("area", f"running, at most {max(timeline.busy, default=0):.1f}"),
        Key("limit", f"limit: {_between(allowed, workers)} slots; 0 while everything waits"),
    )
    return Chart(
        f"Attempts that ran at once, of {workers} slots", len(timeline.busy), 100, 110, shapes, axis_of(course), keys
    )


def _allowed(timeline: Timeline, workers: int) -> list[float]:
    """Return how many attempts might run at once at the end of each column."""
    said, allowed, coming = {"workers": workers, "found": 0}, list[float](), list(reversed(timeline.limits))
    for column in range(len(timeline.waited)):
        while coming and coming[-1].moment <= (column + 1) * timeline.width:
            limit = coming.pop()
            said[limit.kind] = limit.slots
        slots = said["workers"] or workers
        allowed.append(float(min(slots, said["found"] or slots)))
    return allowed


def _between(allowed: Sequence[float], workers: int) -> str:
    """Return the least and the most that were allowed, as one number where they are equal."""
    least, most = min(allowed, default=float(workers)), max(allowed, default=float(workers))
    return f"{most:.0f}" if least == most else f"{least:.0f} to {most:.0f}"


def queue_chart(course: Course) -> Chart:
    """Return how many items waited for an outcome over time, and how many had failed."""
    timeline, planned = course.timeline, max(1, course.counts["planned"])
    waiting, failed, settled, bad = [], [], 0.0, 0.0
    for column in range(len(timeline.settled)):
        settled, bad = settled + timeline.settled[column], bad + timeline.failed[column]
        waiting.append(max(0.0, planned - settled - timeline.busy[column]))
        failed.append(bad)
    shapes = (
        Shape("rest", _steps(waiting, planned, is_closed=True)),
        Shape("fell", _steps(failed, planned, is_closed=False)),
    )
    keys = (Key("rest", f"waiting, of {planned:,}"), Key("fell", f"failed so far: {bad:,.0f}"))
    return Chart("Items that waited, and items that had failed", len(waiting), 100, 90, shapes, axis_of(course), keys)


def duration_chart(durations: Durations) -> Chart:
    """Return how many items took how long, in bins of the series 1, 2, 5."""
    top = max(durations.bins, default=1) or 1
    shapes = tuple(
        Shape("area", _box(at * 10 + 0.5, 100 - 100 * count / top, 9, 100 * count / top),
              f"{span(durations.edges[at])} to {span(durations.edges[at + 1])}: {counted(count, 'item')}")
        for at, count in enumerate(durations.bins)
    )  # fmt: skip
    edges = durations.edges
    few = edges if len(edges) <= 5 else (edges[0], edges[len(edges) // 2], edges[-1])
    label = f"How long {counted(durations.items, 'item')} took"
    return Chart(label, 10 * max(1, len(durations.bins)), 100, 100, shapes, tuple(span(edge) for edge in few))


def cost_chart(course: Course) -> Chart:
    """Return what was spent over time, added up."""
    spent, total = [], 0.0
    for amount in course.timeline.cost:
        total += amount
        spent.append(total)
    shapes = (Shape("area", _steps(spent, total or 1.0, is_closed=True)),)
    return Chart("US dollars spent, added up over time", len(spent), 100, 80, shapes, axis_of(course))


def axis_of(course: Course) -> tuple[str, ...]:
    """Return the words under a time axis: when it began, how long that is ago in the middle, when it ended."""
    if not course.processes:
        return ()
    seconds_ = course.timeline.seconds
    return clock(course.processes[0].at), f"+ {span(seconds_ / 2)}", f"+ {span(seconds_)}"


def _box(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:.4g} {y:.4g}h{width:.4g}v{height:.4g}h{-width:.4g}z"


def _steps(values: Sequence[float], top: float, *, is_closed: bool) -> str:
    """Return a path of steps, one unit wide each; 100 is zero and 0 is the top."""
    path, before = ["M0 100" if is_closed else ""], None
    for at, value in enumerate(values):
        height = f"{100 - 100 * min(value, top) / top:.4g}"
        if height != before:
            path.append(f"{'L' if is_closed or at else 'M'}{at} {height}" if before is None else f"H{at}V{height}")
            before = height
    path.append(f"H{len(values)}")
    return "".join([*path, "V100z"] if is_closed else path)
