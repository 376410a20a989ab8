"""The view of a dispatch on a terminal, drawn by rich, and fitted to its width and height."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trailblazer.paths import read_stamp
from trailblazer.plain import one_line
from trailblazer.record.admission import Room
from trailblazer.record.outcomes import Status
from trailblazer.reports.audience import clock_time
from trailblazer.reports.board import Board, Running, progress_of
from trailblazer.reports.progress import in_words, percent

MOST_FAILURES = 4
QUIET_SECONDS = 1.0  # output is not called silent before


@dataclass(frozen=True, slots=True)
class Scene:
    """What one drawing shows. `room` is what the limits allow now, `keys` the line of keys, empty without keys.

    `work` is what progress.json says; `started` is in epoch seconds.
    """

    folder: Path
    board: Board
    state: str
    started: float
    slots: int | None = None
    room: Room | None = None
    work: Mapping[str, Any] | None = None
    keys: str = ""


class Screen:
    """A region of a terminal that is drawn over and over; `write` prints above it. One thread uses it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live: Live | None = None
        self._drawn: list[str] = []
        self._size = os.terminal_size((0, 0))

    def draw(self, scene: Scene, *, anew: bool = False) -> None:
        """Draw what has changed since the last time."""
        size = size_of(self._stream)
        console = Console(
            file=self._stream, width=size.columns, height=size.lines, force_terminal=True, highlight=False
        )
        view = view_of(scene, size.columns, size.lines, time.time())
        drawn = [line.rstrip() for line in _text_of(view, size)]
        if drawn == self._drawn and size == self._size and not anew:
            return
        self._drawn, self._size = drawn, size
        if self._live is None:
            self._live = Live(
                console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
            self._live.console.show_cursor()  # a process that is stopped or killed leaves no hidden cursor
        self._live.update(view, refresh=True)

    def was_resized(self) -> bool:
        """Say whether the terminal has another size than the view that is drawn."""
        return self._live is not None and size_of(self._stream) != self._size

    def erase(self) -> None:
        """Take the view away."""
        live, self._live = self._live, None
        if live is not None:
            with contextlib.suppress(OSError):
                live.stop()
        self._drawn = []

    def forget(self) -> None:
        """Leave the view where it is: somebody else has written to the terminal since."""
        self._live, self._drawn = None, []


def size_of(stream: TextIO) -> os.terminal_size:
    """Return the size of a terminal; 80 x 24 where the system has none."""
    with contextlib.suppress(OSError, ValueError):
        size = os.get_terminal_size(stream.fileno())
        if size.columns and size.lines:
            return size
    return os.terminal_size((80, 24))


def _text_of(view: RenderableType, size: os.terminal_size) -> list[str]:
    console = Console(width=size.columns, height=size.lines, force_terminal=False, highlight=False)
    with console.capture() as captured:
        console.print(view)
    return captured.get().splitlines()


def view_of(scene: Scene, width: int, height: int, now: float) -> RenderableType:
    """Return the view: head, bar, counts, limits, what runs, what failed last; at most `height` - 1 lines."""
    board = scene.board
    head = [
        _head(scene, now), _bar(scene, now, width), _counts(board),
        *([_pace(scene, now)]), *_limits(scene, now),
    ]  # fmt: skip
    tail = [Text(scene.keys, style="dim", no_wrap=True, overflow="ellipsis")] if scene.keys else []
    left = height - 1 - len(head) - len(tail)
    failures = list(board.failures)[-min(MOST_FAILURES, max(0, left // 4)) :] if left >= 8 else []
    left -= len(failures) + bool(failures)
    parts: list[RenderableType] = [*head[: height - 1 - len(tail)]]
    if left > 2 and board.running:
        parts += _running(scene, left, now)
    if failures:
        total = board.standing.failed
        more = f", {len(failures)} of {total:,}" if total > len(failures) else ""
        parts.append(Text(f"failed last{more}", style="bold red"))
        parts += [_cut(f"  {one_line(item, 60)}: {one_line(reason, 300)}") for item, reason in failures]
    return Group(*parts, *tail)


def _cut(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _head(scene: Scene, now: float) -> Text:
    board, state, style = scene.board, scene.state, "bold green"
    if state == "running" and board.is_ending:
        state, style = "ending: nothing more starts", "bold yellow"
    elif state == "running" and board.standing.is_paused:
        state, style = "PAUSED: nothing new starts", "bold yellow"
    elif state != "running":
        style = "bold"
    moment = read_stamp(scene.folder.name)
    began = f" since {clock_time(moment.timestamp(), now)}" if moment else ""
    text = _cut("")
    text.append(scene.folder.name, "bold").append("  ").append(state, style)
    return text.append(f"{began}, {in_words(max(0.0, now - scene.started))}")


def _bar(scene: Scene, now: float, width: int) -> RenderableType:
    done = progress_of(scene.board, dict(scene.work) if scene.work else None, now)
    label = f" {percent(done.done, done.planned)}%  {done.done:,}/{done.planned:,} {done.unit}"
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, width=min(len(label), width // 2))
    grid.add_row(ProgressBar(total=max(1, done.planned), completed=done.done), _cut(label))
    return grid


def _counts(board: Board) -> Text:
    standing, counts = board.standing, board.standing.counts
    text = _cut("")
    parts = [
        (f"done {standing.good:,}", "green"),
        (f"failed {standing.failed:,}", "bold red" if standing.failed else ""),
        (f"skipped {counts[Status.SKIPPED]:,}", ""),
        *([(f"cancelled {counts[Status.CANCELLED]:,}", "yellow")] if counts[Status.CANCELLED] else []),
        (f"running {len(board.running):,}", "cyan"),
        (f"waiting {standing.waiting:,}", ""),
    ]
    for number, (said, style) in enumerate(parts):
        text.append(" · " if number else "").append(said, style)
    return text


def _pace(scene: Scene, now: float) -> Text:
    board = scene.board
    done, usage = progress_of(board, dict(scene.work) if scene.work else None, now), board.standing.usage
    cost = usage.get("costUSD", 0.0) + usage.get("estCostUSD", 0.0)
    tokens = usage.get("tokens", 0.0) + usage.get("input_tokens", 0.0) + usage.get("output_tokens", 0.0)
    is_held = board.standing.is_paused or board.is_ending or board.waiting is not None
    parts = [
        f"{60 * done.rate:,.4g} {done.unit}/min" if done.rate else "no rate yet",
        f"ETA {in_words(done.left)}" if done.left is not None and not is_held and done.done < done.planned else "ETA -",
        *([f"US$ {cost:,.4f}"] if cost else []),
        *([f"{tokens:,.0f} tokens"] if tokens else []),
    ]
    return _cut(" · ".join(parts))


def _limits(scene: Scene, now: float) -> list[Text]:
    """Return what keeps items from starting: slots, 429s, a quota, closed providers."""
    board, lines = scene.board, list[Text]()
    slots = board.slots or scene.slots
    parts = [f"{slots} at once"] if slots else []
    room = scene.room
    if room is not None and slots and room.slots < slots:
        parts.append(f"the limits allow {room.slots}" + (f" ({one_line(room.reason, 80)})" if room.reason else ""))
    if room is not None and room.limited:
        parts.append(f"{room.limited:,} answers 429")
    if parts:
        lines.append(_cut(" · ".join(parts)))
    if board.waiting is not None:
        until = f" until {clock_time(board.waiting.until, now)}" if board.waiting.until is not None else ""
        lines.append(
            _cut(f"waiting for {board.waiting.provider}{until}: {one_line(board.waiting.reason, 200)}", "yellow")
        )
    for name, line in list(board.closed.items()):
        if board.waiting is None or board.waiting.provider != name:
            until = f" until {clock_time(line.until, now)}" if line.until is not None else ""
            lines.append(_cut(f"{name} is closed{until}: {one_line(line.reason, 200)}", "yellow"))
    return lines


def _running(scene: Scene, most: int, now: float) -> list[RenderableType]:
    """Return a table of what runs in at most `most` lines, and the count of what is not in it."""
    board = scene.board
    total = len(board.running)
    rows = most - 1 if total <= most - 1 else most - 2
    shown = board.oldest(rows)
    parts = {one["item"]: one for one in (scene.work or {}).get("running", ())}
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("running", no_wrap=True, overflow="ellipsis")
    for name in ("log", "attempt", "for", "silent", *(["done"] if parts else [])):
        table.add_column(name, no_wrap=True, justify="right")
    for one in shown:
        part = parts.get(one.item)
        silent = max(0.0, now - _last_sign(scene, one))
        table.add_row(
            Text(one_line(one.item, 200)),
            f"task_{one.index}",
            str(one.attempt),
            in_words(max(0.0, now - one.since)),
            in_words(silent) if silent >= QUIET_SECONDS else "-",
            *([f"{percent(part['done'], part['of'])}%" if part else ""] if parts else []),
        )
    more = [_cut(f"… and {total - len(shown):,} more that run", "dim")] if total > len(shown) else []
    return [table, *more]


def _last_sign(scene: Scene, one: Running) -> float:
    """Return when an attempt last wrote to one of its logs, in epoch seconds; its start where it has none."""
    folder = scene.folder / f"task_{one.index}" / f"attempt_{one.attempt}"
    newest = one.since
    for name in ("worker.stdout", "worker.stderr", "output"):
        with contextlib.suppress(OSError):
            newest = max(newest, (folder / name).stat().st_mtime)
    return newest
