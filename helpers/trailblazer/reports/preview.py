"""What a dispatch would do, said in the same words for every lane."""

from __future__ import annotations

from collections.abc import Iterator

from trailblazer.events import Console
from trailblazer.plain import counted
from trailblazer.reports.answers import print_answer


def preview(lines: Iterator[str], planned: int, noun: str, source: str, console: Console, *, json_of: str = "") -> int:
    """Say what a dispatch would do, in the same words for every lane, and print a line for each item.

    With `json_of`, the name of the verb, they are one document (schemas/answer.schema.json).
    """
    planned_items = counted(planned, noun.removesuffix("s"))
    console.say(f"Dry run: {source} would dispatch {planned_items}; nothing was done", "green")
    if json_of:
        print_answer(json_of, "would change", list(lines), {noun: planned})
        return 0
    for line in lines:
        print(line)
    return 0
