"""Calls of bd (beads), each with a time limit, and what its answers hold."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trailblazer.lanes.issues.issue import records_in
from trailblazer.lanes.issues.tracker import TrackerDown
from trailblazer.plain import one_line
from trailblazer.processes.ask import Answer, ask
from trailblazer.providers.selectors import parse

MOST_BYTES = 64 << 20
_MISSING = re.compile(r"no issues? found|issue \S+ not found|issue not found|\"not_found\"|ambiguous id", re.IGNORECASE)
_HINT = "Call it in the same folder by hand; tracker.folder, tracker.command and BEADS_DIR say which bd is meant."


class BdCalls:
    """bd in a folder. Every call is ended after `seconds`; its whole process group goes with it."""

    def __init__(self, command: Sequence[str], folder: Path, seconds: float) -> None:
        self._command, self._folder, self._seconds = tuple(command), folder, seconds

    def ask(self, *words: str, actor: str = "") -> Answer:
        """Return what bd answers to these words; `actor` is the name under which it acts."""
        return self.ask_other((*self._command, *(("--actor", actor) if actor else ()), *words), actor)

    def ask_other(self, argv: Sequence[str], actor: str) -> Answer:
        """Return what a command of the user answers. Old and new versions of bd read the actor from the environment."""
        named = {"BEADS_ACTOR": actor, "BD_ACTOR": actor} if actor else {}
        environment = {**os.environ, "PAGER": "cat", "NO_COLOR": "1", **named}
        if not self._folder.is_dir():
            return Answer(126, "", f"tracker.folder is no folder: {self._folder}")
        return ask(argv, seconds=self._seconds, environment=environment, most_bytes=MOST_BYTES, cwd=str(self._folder))

    def records(self, *words: str) -> list[Any]:
        """Return the records of an answer in JSON; what is no list of issues is refused with TrackerDown (exit 8)."""
        document = self.document(*words)
        try:
            return [] if document is None else records_in(document)
        except ValueError as error:
            raise TrackerDown(f"`bd {words[0]}` answered, but {error}", _HINT) from None

    def document(self, *words: str) -> Any:
        """Return what bd answers to these words and --json; None for its null.

        TrackerDown (exit 8): it failed, was too late, or printed no JSON.
        """
        answer = self.ask(*words, "--json")
        if answer.code != 0 or len(answer.out) >= MOST_BYTES:
            raise down(words[0], answer)
        found, document = read_json(answer.out)
        if not found:
            raise down(words[0], answer, "printed no JSON")
        if isinstance(document, Mapping) and isinstance(document.get("error"), str):
            raise TrackerDown(f"`bd {words[0]}` failed: {one_line(document['error'], 300)}", _HINT)
        return document

    def record(self, issue_id: str) -> dict[str, Any] | None:
        """Return the record of an issue, or None: bd resolves abbreviations, and only the exact id counts."""
        answer = self.ask("show", issue_id, "--json")
        if answer.is_late or len(answer.out) >= MOST_BYTES:
            raise down("show", answer)
        found, document = read_json(answer.out)
        try:
            records = records_in(document) if found and document is not None else []
        except ValueError:
            records = []
        if answer.code == 0 and records:
            return next((one for one in records if isinstance(one, dict) and one.get("id") == issue_id), None)
        if _MISSING.search(answer.err) or _MISSING.search(answer.out):
            return None
        if answer.code == 0 and found and document in (None, []):
            return None
        raise down("show", answer, "" if answer.code else "printed no JSON")


def read_json(printed: str) -> tuple[bool, Any]:
    """Return whether an output holds JSON, and that JSON. Lines of warnings before it are passed over."""
    text = printed.strip()
    if text == "null":
        return True, None
    value = parse(text.encode())
    if value is None:
        starts = [at for mark in ("\n[", "\n{") if (at := text.find(mark)) >= 0]
        value = parse(text[min(starts) :].encode()) if starts else None
    return value is not None, value


def down(word: str, answer: Answer, problem: str = "") -> TrackerDown:
    """Return the error for an answer of bd that cannot be used."""
    if len(answer.out) >= MOST_BYTES:
        return TrackerDown(f"`bd {word}` printed more than {MOST_BYTES >> 20} MiB", _HINT)
    if answer.is_late:
        return TrackerDown(f"`bd {word}`: {one_line(answer.err)}", "It may wait for a lock; end what holds it.")
    return TrackerDown(f"`bd {word}` {problem or 'failed'}: {what_it_said(answer)}", _HINT)


def what_it_said(answer: Answer) -> str:
    """Return the error of an answer as one plain line: the one in its JSON, else the first line of stderr or stdout."""
    lines = (line.strip() for text in errors_in(answer) for line in text[:10_000].splitlines())
    first = next(filter(None, lines), "")
    return one_line(first, 300) if first else f"it said nothing (exit {answer.code})"


def errors_in(answer: Answer) -> list[str]:
    """Return what each stream of an answer says of an error, stderr first: the error in its JSON, or all of it."""
    found = []
    for stream in (answer.err, answer.out):
        error = fields_in(stream).get("error")
        found.append(error if isinstance(error, str) else stream)
    return found


def fields_in(printed: str) -> Mapping[str, Any]:
    """Return the JSON object of an output, out of its envelope; an empty one when there is none."""
    _, document = read_json(printed)
    inside = document.get("data", document) if isinstance(document, Mapping) else None
    return inside if isinstance(inside, Mapping) else {}
