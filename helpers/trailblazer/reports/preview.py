"""What a dispatch would do, said in the same words for every lane."""

from __future__ import annotations

from collections.abc import Iterator

from trailblazer.events import Console
from trailblazer.plain import counted


def preview(lines: Iterator[str], planned: int, noun: str, source: str, console: Console) -> int:
    """Say what a dispatch would do, in the same words for every lane, and print a line for each item."""
    planned_items = counted(planned, noun.removesuffix("s"))
    console.say(f"Dry run: {source} would dispatch {planned_items}; nothing was done", "green")
    for line in lines:
        print(line)
    return 0
