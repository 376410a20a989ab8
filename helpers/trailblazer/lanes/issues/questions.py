"""What the user's own commands say for free: whether a change for an issue is open, and how many changes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trailblazer.config import Config
from trailblazer.errors import GateClosed
from trailblazer.plain import one_line
from trailblazer.processes.ask import Answer, ask
from trailblazer.providers.templates import Render, compile_text

SECONDS = 60.0
NAMES = ("id", "title", "repo")


@dataclass(frozen=True, slots=True)
class Question:
    """A command of the configuration; its words are templates. `key` is its name there."""

    key: str
    words: tuple[Render, ...]

    def ask(self, values: Mapping[str, str], folder: Path) -> Answer:
        """Return the answer in a folder; it is given a minute."""
        if not folder.is_dir():
            return Answer(126, "", f"{folder} is no folder")
        return ask([word(values) for word in self.words], seconds=SECONDS, cwd=str(folder))


def read_question(config: Config, key: str) -> Question | None:
    """Return the command of a key, or None when there is none; a mistake in its words is WordsWrong (exit 2)."""
    words: Sequence[str] = config[key]
    return Question(key, tuple(compile_text(word, names=NAMES) for word in words)) if words else None


def _problem(question: Question, answer: Answer) -> str:
    said = one_line(answer.err or answer.out, 200) or "no reason given"
    return f"{question.key} cannot be asked: exit {answer.code}: {said}"


def open_change(question: Question | None, values: Mapping[str, str], checkout: Path) -> str:
    """Return why an issue is refused: a change for it is open, or the question fails. Empty when it is not.

    The command runs in the checkout of the issue: programs such as gh find out there which repository is meant. It
    prints something where a change is open, and nothing where none is.
    """
    if question is None:
        return ""
    answer = question.ask(values, checkout)
    if answer.code != 0:
        return _problem(question, answer)
    found = one_line(answer.out, 200)
    return f"a change for it is open: {found}" if found else ""


def count_open_changes(question: Question | None, most: int | None, folder: Path) -> int | None:
    """Return how many more changes may wait for review, None without a limit; none at all raises GateClosed.

    The command runs in `folder`, and prints a line for each change that waits.
    """
    if question is None or most is None:
        return None
    answer = question.ask(dict.fromkeys(NAMES, ""), folder)
    if answer.code != 0:
        raise GateClosed(_problem(question, answer), "Nothing was claimed. Try the command by hand.")
    waiting = sum(1 for line in answer.out.splitlines() if line.strip())
    if waiting >= most:
        wait = "change waits" if waiting == 1 else "changes wait"
        what = f"{waiting} {wait} for review, and gates.max_open is {most}"
        raise GateClosed(what, "Review some of them, or set gates.max_open higher.")
    return most - waiting
