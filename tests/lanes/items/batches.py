"""Runs batches with the real program, and reads what they leave."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema

from lanes.embed.project import Finished, Project, read_json
from trailblazer import schemas

PYTHON = sys.executable
HOSTILE = [PYTHON, str(Path(__file__).resolve().parents[2] / "fixtures" / "hostile.py"), "{{ index }}"]


class Batches(Project):
    """A project in which batches are run."""

    def batch(self, items: Sequence[Any], *words: str, flags: str = "", **settings: str) -> Finished:
        """Run a batch of the hostile worker over items: `words` go to the worker, `flags` to the batch."""
        return self.run(*self.words(items, *words, flags=flags), **settings)

    def words(self, items: Sequence[Any], *words: str, flags: str = "") -> list[str]:
        """Write the items to a file and return the argv of such a batch."""
        file = self.folder / "items.json"
        file.write_text(json.dumps(list(items)))
        return ["batch", "run", "--items", str(file), *flags.split(), "--", *HOSTILE, *words]

    @property
    def summary(self) -> dict[str, Any]:
        """The summary of the newest batch, checked by its schema."""
        document = read_json(self.dispatch / "summary.json")
        jsonschema.validate(document, schemas.load("summary"))
        return document

    @property
    def outcomes(self) -> list[str]:
        """The status of every item in the newest summary, in the order of the items."""
        items = self.summary["items"]
        assert sorted(item["index"] for item in items) == [item["index"] for item in items]
        return [item["status"] for item in items]

    def why(self, index: int = 0) -> str:
        """The reason of an item in the newest summary."""
        return next(str(item["reason"]) for item in self.summary["items"] if item["index"] == index)

    def attempt(self, index: int = 0, number: int = 1) -> Path:
        """The folder of an attempt in the newest batch."""
        return self.dispatch / f"task_{index}" / f"attempt_{number}"

    def result(self, index: int = 0, number: int = 1) -> dict[str, Any]:
        """The result of an attempt, checked by its schema."""
        document = read_json(self.attempt(index, number) / "result.json")
        jsonschema.validate(document, schemas.load("item_result"))
        return document
