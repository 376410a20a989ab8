"""YAML that people wrote, with the line of each part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer.config import compose, value_of
from trailblazer.errors import ConfigWrong


@dataclass(frozen=True, slots=True)
class LinedYaml:
    """What a YAML file holds, and the line of each part: `lines["$.cases[0].id"]`, from 1."""

    value: Any
    lines: Mapping[str, int]

    def line_of(self, place: str) -> int:
        """Return the line of a place such as `$.cases[0].id`, or of the nearest part around it."""
        while place not in self.lines and place:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return self.lines.get(place, 1)


def read_lined_yaml(file: Path, most: int) -> LinedYaml:
    """Return what a regular YAML file of at most `most` bytes and 10,000 parts holds, with its lines.

    What `read_yaml` refuses is ConfigWrong here too, and so are a link, an alias, and a key that is no text or twice.
    """
    node = compose(file, most)
    lines = {"$": 1} if node is None else _lines_of(node, file)
    return LinedYaml(value_of(node, file), lines)


def _lines_of(root: Any, file: Path) -> dict[str, int]:
    """Return the line of each part of a document by its place; what is there twice is refused."""

    def refuse(problem: str, mark: Any) -> ConfigWrong:
        return ConfigWrong(f"{file}:{mark.line + 1}: not plain YAML: {problem}", "Mend that line.")

    lines: dict[str, int] = {}
    seen, waiting = set[int](), [("$", root, root.start_mark)]
    for place, node, mark in waiting:  # which grows
        if id(node) in seen:
            raise refuse("an alias does not belong here", mark)
        if place in lines:
            raise refuse(f"{place} is there twice", mark)
        seen.add(id(node))
        lines[place] = mark.line + 1
        if node.id == "mapping":
            for key, inner in node.value:
                if key.id != "scalar" or not key.tag.endswith(":str"):
                    raise refuse("a key must be text", key.start_mark)
                waiting.append((f"{place}.{key.value}", inner, key.start_mark))
        elif node.id == "sequence":
            waiting += [(f"{place}[{number}]", inner, inner.start_mark) for number, inner in enumerate(node.value)]
    return lines
