"""What one more item, signal or run costs is bounded in calls, bytes and statements: no clock is asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lanes.costs.counting import (
    BYTES,
    COMMITS,
    KINDS,
    STATEMENTS,
    Statements,
    costs_of_one,
    count_calls,
    counted,
    too_many,
    trace_words,
)
from lanes.embed.project import Project, texts_of, write_documents
from lanes.signals.scenarios import case_document, write_scenario

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace, which counts calls, is not installed"),
]

MEASURES = (*KINDS, BYTES, STATEMENTS, COMMITS)
# The most that one more may cost, in the order of MEASURES: a tenth above what was counted, more where it depends on
# when threads run, so that a change which doubles a count fails. Lower a limit with the change that makes it possible.
LIMITS = {
    "batch run": (1.2, 11.0, 3.4, 15.5, 5.8, 0.4, 3_300, 0.0, 0.0),
    "calibrate --dispatch batch-file": (0.2, 27.5, 14.6, 40.0, 21.0, 3.4, 13_000, 1.6, 1.6),
    "calibrate --dispatch file": (0.2, 26.0, 12.2, 39.0, 19.0, 3.4, 10_000, 1.4, 1.4),
    "run": (0.2, 25.0, 10.2, 55.0, 29.0, 0.4, 13_000, 0.5, 0.5),
    "dispatch skip-unchanged": (0.2, 5.0, 0.4, 23.0, 5.0, 0.4, 1_400, 0.5, 0.5),
}

NewProject = Callable[[str], tuple[Project, Statements]]


def _must_be_within(verb: str, few: Counter[str], many: Counter[str], more: int) -> None:
    found = costs_of_one(few, many, more)
    assert set(found) <= set(MEASURES)
    assert [] == too_many(found, dict(zip(MEASURES, LIMITS[verb], strict=True)))


def test_an_item(new_project: NewProject) -> None:
    """One item through a command costs so much in files, calls, bytes and syncs."""

    def count(items: int) -> Counter[str]:
        project, _ = new_project(f"{items} items")
        (project.folder / "items.txt").write_text("".join(f"{number}\n" for number in range(items)))
        return counted(project, "batch", "run", "--items", "items.txt", "--", "/bin/true", "{{ item }}")

    _must_be_within("batch run", count(100), count(200), 100)


@pytest.mark.parametrize("words", ["--dispatch batch-file --batch-size 4", "--dispatch file"])
def test_a_signal(new_project: NewProject, words: str) -> None:
    """One signal that the stub answers costs so much, in batches of 4 and alone."""

    def count(cases: int) -> Counter[str]:
        project, statements = new_project(f"{cases} cases")
        write_scenario(project.folder / "equal", {f"case-{number:03}": case_document() for number in range(cases)})
        how = ["--scenario", "equal", "--adapter", "stub", "--parallel", "4", *words.split()]
        return counted(project, "calibrate", *how, statements=statements)

    _must_be_within(f"calibrate {' '.join(words.split()[:2])}", count(24), count(48), 24)


def test_a_run(new_project: NewProject) -> None:
    """One small run costs so much when it is chunked and embedded, and when nothing of it has changed."""

    def count(runs: int) -> tuple[Counter[str], Counter[str]]:
        project, statements = new_project(f"{runs} runs")
        names = [f"run-{number:04}" for number in range(runs)]
        for name in names:
            write_documents(project.folder, name, texts_of(name, 1))
        project.write_plan(*names)
        worked = counted(project, "run", statements=statements)
        assert [("embedded", runs)] == project.query("SELECT status, count(*) FROM processed_runs GROUP BY 1")
        return worked, counted(project, "dispatch", "plan=list.txt", "skip-unchanged", statements=statements)

    few, many = count(100), count(200)
    _must_be_within("run", few[0], many[0], 100)
    _must_be_within("dispatch skip-unchanged", few[1], many[1], 100)


COUNTED = """
import os, subprocess
for number in range(3):
    handle = os.open(f"file-{number}", os.O_WRONLY | os.O_CREAT)
    os.write(handle, b"x" * 100)
    os.fsync(handle)
subprocess.run(["sh", "-c", "echo not ours > other && mkdir folder"], check=True)
"""


def test_what_is_counted(tmp_path: Path) -> None:
    """Writes, bytes and syncs of our program are counted, and nothing that a program does which it starts."""
    command = [*trace_words(tmp_path / "trace"), sys.executable, "-I", "-S", "-c", COUNTED]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    found = count_calls(tmp_path / "trace")
    assert (tmp_path / "folder").is_dir()
    assert (3, 300, 3) == (found["writes"], found[BYTES], found["syncs"])
    assert 0 == found["names made or removed"]


def test_what_has_grown_is_named() -> None:
    """A count above its limit is named with how to see it; a count without a limit is above it."""
    found = too_many({"syncs": 2.0, BYTES: 10.0, STATEMENTS: 1.5}, {"syncs": 1.0, BYTES: 20})
    assert [
        "SQL statements: 1.50 each, at most 0; see them with log_statement = 'all' in the log of the server",
        f"syncs: 2.00 each, at most 1.0; see them with strace -f -y -e trace={','.join(KINDS['syncs'])}",
    ] == found
