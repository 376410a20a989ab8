"""How well and how fast `trailblazer ask` finds pages of the PostgreSQL manual.

Run as `python benchmarks/ask.py [FOLDER]`: FOLDER holds the manual's pages in HTML; without it the package
postgresql-doc-15 is downloaded by apt-get into a temporary folder. The questions are in ask_questions.ndjson, each with
the pages that answer it. They were written before anything was measured. MRR is the mean of 1/place of the first page
that answers, among the first ten pages. Questions with no pages are about other things: nothing should fit them. Those
without `chose_floor` were written after the floors were chosen.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from _manual import download_manual
from _turns import seconds_of

from trailblazer.config import Config, load_config
from trailblazer.database import server, vitals
from trailblazer.database.connection import Connection, connect
from trailblazer.paths import Places
from trailblazer.pipeline.ask import BY, Answer, find_answers
from trailblazer.pipeline.embedders import AskedVector, vector_of

RUN = "manual"
PAGES = 10
ROUNDS = 10
PROGRAM = str(Path(sys.executable).with_name("trailblazer"))


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the pages that answer it; none when it is about something else."""

    text: str
    pages: tuple[str, ...]
    chose_floor: bool


def main() -> None:
    """Measure and print."""
    file = Path(__file__).with_name("ask_questions.ndjson")
    questions = [
        Question(line["question"], tuple(line["pages"]), line.get("chose_floor", False))
        for line in map(json.loads, file.read_text("utf-8").splitlines())
    ]
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        folder = Path(name)
        try:
            _embed(Path(sys.argv[1]).resolve() if sys.argv[1:] else download_manual(folder), folder)
            with connect(load_config(start=folder)) as connection:
                _judge(connection, load_config(start=folder), questions)
            _time(folder, questions[0].text)
        finally:
            server.stop(vitals.base_of(Places(folder, folder / "var")))


def _embed(pages: Path, folder: Path) -> None:
    """Make a project, and chunk and embed the manual in it, by the verbs that a user types."""
    (folder / "config").mkdir()
    (folder / "config/.trailblazer.yaml").touch()
    for words in (["normalize", str(pages), "--run", RUN], ["run"]):
        subprocess.run([PROGRAM, *words, "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _judge(connection: Connection, config: Config, questions: list[Question]) -> None:
    vectors = {question.text: vector_of(config, question.text) for question in questions}
    counted = connection.execute("SELECT count(DISTINCT doc_id), count(*) FROM chunks").fetchone()
    assert counted is not None
    print(f"{counted[0]:,} pages, {counted[1]:,} chunks, {sum(bool(one.pages) for one in questions)} questions\n")
    print(f"{'trailblazer ask':<22} {'MRR':>6} {'first':>7} {'in ten':>7} {'search':>9}")
    for by in BY:
        places, spent = [], []
        for question in (one for one in questions if one.pages):
            began = time.perf_counter()
            answers = _ask(connection, vectors, question, by)
            spent.append(time.perf_counter() - began)
            places.append(_place(answers, question.pages))
        mrr = statistics.mean(1 / place if place else 0 for place in places)
        milliseconds = 1000 * statistics.median(spent)
        first, found = places.count(1), sum(place > 0 for place in places)
        print(f"{'--by ' + by:<22} {mrr:>6.3f} {first:>7} {found:>7} {milliseconds:>6.1f} ms")
    print()
    for what, chosen in (
        ("answerable", [one for one in questions if one.pages]),
        ("other, chose the floor", [one for one in questions if not one.pages and one.chose_floor]),
        ("other, held out", [one for one in questions if not one.pages and not one.chose_floor]),
    ):
        none = sum(not _ask(connection, vectors, one, "both") for one in chosen)
        print(f"nothing fits: {what:<23} {none} of {len(chosen)}")


def _ask(connection: Connection, vectors: dict[str, AskedVector], question: Question, by: str) -> list[Answer]:
    return find_answers(connection, vectors[question.text], question.text, 5 * PAGES, by)


def _place(answers: list[Answer], pages: tuple[str, ...]) -> int:
    """Return at which place among the pages found the first of some pages is, from 1 on; 0 when not among ten."""
    found = list(dict.fromkeys(answer.document for answer in answers))[:PAGES]
    return next((place for place, page in enumerate(found, start=1) if page in pages), 0)


def _time(folder: Path, question: str) -> None:
    """Time the whole command on a warm database, in turns with bare Python.

    Processor time says what the command costs on a machine that is busy with other work too.
    """
    words = {"trailblazer ask": [PROGRAM, "ask", question], "python -c pass": [sys.executable, "-c", "pass"]}
    spent: dict[str, list[tuple[float, float]]] = {what: [] for what in words}
    for _ in range(ROUNDS + 1):
        for what, command in words.items():
            before = _processor_seconds()
            seconds = seconds_of(command, cwd=folder)
            spent[what].append((seconds, _processor_seconds() - before))
    print(f"\n{'the whole command':<22} {'median':>9} {'processor':>11}")
    for what, turns in spent.items():
        seconds, processor = (1000 * statistics.median(column) for column in zip(*turns[1:], strict=True))
        print(f"{what:<22} {seconds:>6.0f} ms {processor:>8.0f} ms" + ("   <= 300 ms" if "ask" in what else ""))


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
