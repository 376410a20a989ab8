"""Proof, with figures, that the backlog loses no run and does none twice: real processes, real kills."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from claiming import put
from configured import config_of
from trailblazer.config import Config
from trailblazer.database import server, vitals
from trailblazer.database.connection import Connection, connect
from trailblazer.errors import ServiceDown

pytestmark = pytest.mark.proof

CLAIMER = str(Path(__file__).with_name("claimer.py"))
RUNS = 5_000
WORKERS = 8
DEEDS = ["kill"] * 20 + ["restart"] * 3 + ["terminate"] * 6

AUDIT = """
CREATE TABLE effects (run_id text, phase text, attempt integer, holder text);
CREATE TABLE audit (
    number bigint GENERATED ALWAYS AS IDENTITY,
    run_id text, was text, became text, old_attempt integer, new_attempt integer, old_holder text, new_holder text
);
CREATE FUNCTION write_down() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (run_id, was, became, old_attempt, new_attempt, old_holder, new_holder)
    VALUES (new.run_id, old.status, new.status, old.attempt, new.attempt, old.claimed_by, new.claimed_by);
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER UPDATE ON processed_runs FOR EACH ROW
WHEN (old.status <> new.status OR old.attempt <> new.attempt) EXECUTE FUNCTION write_down();
"""


class Crowd:
    """Worker processes, of which any may be killed and replaced by a new one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seeds = itertools.count(1)
        self._all = [self._spawn() for _ in range(WORKERS)]

    def _spawn(self) -> subprocess.Popen[bytes]:
        seed = next(self._seeds)
        words = [sys.executable, CLAIMER, "work", str(self._folder), "", str(seed), str(self._folder / f"said.{seed}")]
        return subprocess.Popen(words)

    def kill_one(self, chance: random.Random) -> None:
        """Kill a worker with -9 and start another."""
        place = chance.randrange(WORKERS)
        self._all[place].kill()
        self._all[place].wait()
        self._all[place] = self._spawn()

    def wait(self) -> list[int]:
        """Return the exit codes, once all workers find nothing left."""
        return [worker.wait(timeout=120) for worker in self._all]

    def end(self) -> None:
        """Leave none running."""
        for worker in self._all:
            worker.kill()
            worker.wait()


@contextmanager
def crowd_in(folder: Path) -> Iterator[Crowd]:
    """A crowd that is gone at the end, whatever happens."""
    crowd = Crowd(folder)
    try:
        yield crowd
    finally:
        crowd.end()


def disturb(config: Config, base: Path, crowd: Crowd, chance: random.Random) -> None:
    """Do every deed once, evenly over the progress of the work, in an order drawn by lot."""
    deeds = chance.sample(DEEDS, len(DEEDS))
    while deeds:
        try:
            with connect(config) as connection:
                done = connection.execute("SELECT count(*) FROM effects").fetchone()
                if done and done[0] < 2 * RUNS * (len(DEEDS) - len(deeds)) / (len(DEEDS) + 1):
                    time.sleep(0.02)
                    continue
                deed = deeds.pop()
                if deed == "kill":
                    crowd.kill_one(chance)
                elif deed == "restart":
                    os.kill(vitals.status(base).pid or 0, signal.SIGQUIT)  # immediate: without a checkpoint
                else:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'trailblazer' AND pid <> pg_backend_pid()"
                    )
        except ServiceDown:
            continue


def test_nothing_is_lost_and_nothing_is_done_twice(made: Path) -> None:
    """B2: 8 processes, 5,000 runs, 20 kills -9, 3 immediate restarts of Postgres, 6 times all sessions terminated.

    At the end every run was chunked once and embedded once, by the attempt that held it, with one effect each; no
    attempt number was given out twice, and nothing that a replaced attempt asked for was written.
    """
    folder = made.parent.parent
    config = config_of(folder)
    with connect(config) as connection:
        connection.execute(AUDIT)
        connection.execute(
            "INSERT INTO processed_runs (run_id) SELECT 'run-' || lpad(n::text, 5, '0') FROM generate_series(1, %s) n",
            (RUNS,),
        )
    with crowd_in(folder) as crowd:
        disturb(config, made, crowd, random.Random(4711))
        assert [0] * WORKERS == crowd.wait()
    with connect(config) as connection:
        assert [("embedded", RUNS)] == connection.execute(
            "SELECT status, count(*) FROM processed_runs GROUP BY status"
        ).fetchall()
        assert_each_done_once(connection)
        assert_only_the_newest_attempt_was_heard(connection)
        row = connection.execute(
            "SELECT count(*), max(new_attempt) FROM audit WHERE new_attempt > old_attempt"
        ).fetchone()
    said = [line for file in folder.glob("said.*") for line in file.read_text().splitlines()]
    refused = [line for line in said if "has lost its claim" in line]
    assert row is not None
    assert refused, "no attempt was ever late: the proof has proved nothing"
    print(f"\n{row[0]} claims of {RUNS} runs, {row[1]} attempts at most; {len(refused)} refusals of stale attempts, "
          f"{len(said) - len(refused)} times without the database")  # fmt: skip


def assert_each_done_once(connection: Connection) -> None:
    """Every run has one effect a phase, written by the attempt whose completion the audit shows."""
    assert (2 * RUNS, 2 * RUNS) == connection.execute(
        "SELECT count(*), count(DISTINCT (run_id, phase)) FROM effects"
    ).fetchone()
    completions = (
        "SELECT run_id, CASE was WHEN 'chunking' THEN 'chunk' ELSE 'embed' END AS phase, old_attempt AS attempt,"
        " old_holder AS holder FROM audit WHERE became IN ('chunked', 'embedded') AND was IN ('chunking', 'embedding')"
        " AND (was, became) IN (('chunking', 'chunked'), ('embedding', 'embedded'))"
    )
    effects = "SELECT run_id, phase, attempt, holder FROM effects"
    assert [] == connection.execute(f"({completions}) EXCEPT ALL ({effects})").fetchall()
    assert [] == connection.execute(f"({effects}) EXCEPT ALL ({completions})").fetchall()


def assert_only_the_newest_attempt_was_heard(connection: Connection) -> None:
    """Attempt numbers grow by one with each claim and never otherwise; every step follows from the one before it."""
    odd = connection.execute(
        "SELECT run_id, was, became, old_attempt, new_attempt, before_status, before_attempt FROM ("
        " SELECT *, lag(became, 1, 'normalized') OVER steps AS before_status,"
        " lag(new_attempt, 1, 0) OVER steps AS before_attempt"
        " FROM audit WINDOW steps AS (PARTITION BY run_id ORDER BY number)) AS step"
        " WHERE was <> before_status OR old_attempt <> before_attempt"
        " OR new_attempt - old_attempt <> CASE WHEN became IN ('chunking', 'embedding') THEN 1 ELSE 0 END"
    ).fetchall()
    assert [] == odd
    row = connection.execute(
        "SELECT count(*) FROM (SELECT run_id, new_attempt FROM audit WHERE new_attempt > old_attempt"
        " GROUP BY run_id, new_attempt HAVING count(*) > 1) AS twice"
    ).fetchone()
    assert (0,) == row


def test_two_claimers_never_hold_the_same_run(connection: Connection, config: Config, tmp_path: Path) -> None:
    """B2: over 100,000 claims by four processes on 400 runs no two were surely held at the same moment."""
    put(connection, *(f"run-{number:03}" for number in range(400)))
    files = [tmp_path / f"held.{number}" for number in range(4)]
    words = [sys.executable, CLAIMER, "sample", str(config.places.root), config["db.url"], "25000"]
    claimers = [subprocess.Popen([*words, str(file)]) for file in files]
    assert [0] * 4 == [claimer.wait(timeout=120) for claimer in claimers]
    held = sorted(tuple(entry) for file in files for entry in json.loads(file.read_text()))
    assert len(held) >= 100_000
    assert len(held) == len({(run_id, attempt) for run_id, attempt, _, _ in held})
    overlaps = [
        (one, other)
        for one, other in itertools.pairwise(held)
        if one[0] == other[0] and not (one[3] < other[2] and one[1] < other[1])
    ]
    assert [] == overlaps
    print(f"\n{len(held)} claims, {max(attempt for _, attempt, _, _ in held)} at one run, 0 overlaps")


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime (apt-get install faketime)")
def test_clocks_an_hour_apart_change_nothing(made: Path) -> None:
    """B2: a host an hour ahead and one an hour behind agree on what is claimed and until when: the database's time.

    The first of them even starts the server, whose clock stays right.
    """
    folder = made.parent.parent
    config = config_of(folder)
    with connect(config) as connection:
        put(connection, "r")
    server.stop(made)
    answers = []
    for offset, claimed in (("+1h", ["r"]), ("-1h", []), ("-1h", ["r"]), ("+1h", [])):
        done = subprocess.run(
            ["faketime", "-f", offset, sys.executable, CLAIMER, "skew", str(folder), ""],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        answer = json.loads(done.stdout)
        answers.append(answer)
        assert claimed == list(answer["claims"])
        hours = 1 if offset == "+1h" else -1
        assert hours == round((answer["host"] - answer["database"]) / 3600)
        assert [10] * len(claimed) == [round((at - answer["database"]) / 60) for at in answer["claims"].values()]
        if len(answers) == 2:
            with connect(config) as connection:
                connection.execute("UPDATE processed_runs SET claim_expires_at = now()")
