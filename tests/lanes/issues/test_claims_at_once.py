"""Processes that claim the same issues at the same moment: each issue has one winner, in every tracker and version."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanes.issues.trackers import ATOMIC, NEW, OLD, OURS, BdProject, FileProject, Project
from repo.tree import CHECKOUT

pytestmark = pytest.mark.proof

ROUNDS = int(os.environ.get("CLAIM_ROUNDS", "2"))
CLAIMER = CHECKOUT / "tests" / "lanes" / "issues" / "claimer.py"


class Claimers:
    """Processes that claim and release the same issues in rounds; each has its own order, and may have its own var."""

    def __init__(self, project: Project, issue_ids: list[str], count: int, *, apart: bool = False) -> None:
        self.issue_ids = issue_ids
        self.started = []
        for number in range(count):
            order = random.Random(number).sample(issue_ids, len(issue_ids)) if number % 2 else issue_ids
            own = {"TRAILBLAZER_PATHS_VAR": str(project.folder / f"var-{number}")} if apart else {}
            self.started.append(
                subprocess.Popen(
                    [sys.executable, str(CLAIMER), str(project.folder), f"night-{number}", *order],
                    env={**os.environ, **own},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )

    def step(self, word: str) -> list[list[str]]:
        """Let all do one thing at once, and return what each prints."""
        for process in self.started:
            assert process.stdin is not None
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
        return [json.loads(process.stdout.readline()) for process in self.started if process.stdout is not None]

    def end(self) -> None:
        """End all."""
        for process in self.started:
            with contextlib.suppress(OSError):
                process.communicate()


@contextlib.contextmanager
def claiming(project: Project, issue_ids: list[str], count: int, *, apart: bool = False) -> Iterator[Claimers]:
    """Yield processes that claim issues, and end them."""
    claimers = Claimers(project, issue_ids, count, apart=apart)
    try:
        yield claimers
    finally:
        claimers.end()


def play(claimers: Claimers, rounds: int) -> None:
    """Play rounds of claims and releases: each issue has one winner, who can release it."""
    once = dict.fromkeys(claimers.issue_ids, 1)
    for _ in range(rounds):
        assert once == collections.Counter(issue_id for held in claimers.step("claim") for issue_id in held)
        assert [] == [reason for reasons in claimers.step("release") for reason in reasons]


def issues(count: int) -> list[dict[str, str]]:
    """Return so many issues; each id is the beginning of others."""
    return [{"id": f"bd-{number}", "title": "t"} for number in range(1, count + 1)]


def ids(count: int) -> list[str]:
    """Return the ids of so many issues."""
    return [issue["id"] for issue in issues(count)]


@pytest.mark.parametrize("count", [2, 8])
def test_one_winner_in_a_file(tmp_path: Path, count: int) -> None:
    """Of two and of eight processes one has each of 200 issues."""
    project = FileProject(tmp_path / "project", issues(200))
    with claiming(project, ids(200), count) as claimers:
        play(claimers, ROUNDS)


@pytest.mark.parametrize(("count", "size"), [(2, 5), (8, 2)])
@pytest.mark.parametrize("version", [OLD, ATOMIC, NEW])
def test_one_winner_in_bd(tmp_path: Path, version: str, count: int, size: int) -> None:
    """Of two and of eight processes one has each issue, also where bd itself lets two win."""
    project = BdProject(tmp_path / "project", version, issues(size))
    project.fault("pause=1")  # of an old bd, between reading and writing
    with claiming(project, ids(size), count) as claimers:
        play(claimers, ROUNDS)
    assert ["open"] * size == [issue["status"] for issue in project.store.all()]


@pytest.mark.parametrize("version", [ATOMIC, NEW])
def test_one_winner_on_several_machines(tmp_path: Path, version: str) -> None:
    """Processes that share nothing but bd have one winner, where bd claims in one step."""
    project = BdProject(tmp_path / "project", version, issues(3))
    with claiming(project, ids(3), 4, apart=True) as claimers:
        play(claimers, ROUNDS)
    assert [{}] * 3 == [issue["metadata"] for issue in project.store.all()]


@pytest.mark.parametrize("version", ["file", OLD, NEW])
def test_one_winner_of_what_a_killed_night_left(tmp_path: Path, version: str) -> None:
    """A process is killed with its claims; of those that come after it one has each of its issues."""
    size = 200 if version == "file" else 3
    folder = tmp_path / "project"
    bd = None if version == "file" else BdProject(folder, version, issues(size))
    project = bd or FileProject(folder, issues(size))
    for _ in range(ROUNDS):
        with claiming(project, ids(size), 1) as killed:
            assert ids(size) == killed.step("claim")[0]
            killed.started[0].send_signal(signal.SIGKILL)
            killed.started[0].wait()
        with claiming(project, ids(size), 4) as claimers:
            play(claimers, 1)


def test_a_process_that_is_killed_while_it_claims_leaves_whole_claims(tmp_path: Path) -> None:
    """Whenever a process is killed, each of its claims is whole or not there, and the next process has all issues."""
    project = FileProject(tmp_path / "project", issues(200))
    for number in range(ROUNDS * 3):
        with claiming(project, ids(200), 1) as killed:
            process = killed.started[0]
            assert process.stdin is not None
            process.stdin.write("claim\n")
            process.stdin.flush()
            claims = project.folder / "var" / "claims"
            while len(list(claims.glob("*/*.json"))) <= number * 10 and process.poll() is None:
                pass
            process.send_signal(signal.SIGKILL)
            process.wait()
        for held in project.open().claimed_by(""):
            assert held.holder.startswith("trailblazer@")
    tracker = project.open()
    assert all(tracker.claim(issue_id, OURS).is_held for issue_id in ids(200))
