"""Claims of processes of this host that were killed are taken over at once; nobody else's are touched (B2, rule 5)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from claiming import expire
from trailblazer.config import Config
from trailblazer.database import backlog, claims
from trailblazer.database.claims import Claim, HeldBy
from trailblazer.database.connection import Connection, connect
from trailblazer.database.holdings import Holdings
from trailblazer.processes.identity import holder_name

# Claims the runs a and b for embedding, says so, and waits.
HOLDER = """
import sys
from pathlib import Path
from trailblazer.config import load_config
from trailblazer.database.connection import connect
from trailblazer.database.holdings import Holdings
config = load_config({"db.url": sys.argv[1]}, start=Path(sys.argv[2]))
holdings = Holdings(lambda: connect(config), 2700, 3)
holdings.take(["a", "b"], "embed", again=True)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(config: Config) -> Iterator[subprocess.Popen[str]]:
    """A process of this host that holds a and b."""
    words = [sys.executable, "-c", HOLDER, config["db.url"], str(config.places.root)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "held\n" == process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def holdings(config: Config) -> Iterator[Holdings]:
    """The holdings of this process."""
    opened = Holdings(lambda: connect(config), 2700, 3)
    yield opened
    opened.close()


@pytest.mark.usefixtures("connection")
def test_what_a_killed_process_held_is_taken_at_once(holder: subprocess.Popen[str], holdings: Holdings) -> None:
    """B2: after `kill -9` nobody waits for the claim to expire; while its holder lives nobody has it."""
    held = holdings.take(["a", "b"], "embed", again=True)
    assert [f"held by {holder_name(pid=holder.pid)}"] * 2 == [
        str(answer).split(" since")[0] for answer in held.values()
    ]
    holder.kill()
    holder.wait()
    taken = holdings.take(["a", "b", "c"], "embed", again=True)
    attempts = {run_id: claim.attempt for run_id, claim in taken.items() if isinstance(claim, Claim)}
    assert {"a": 2, "b": 2, "c": 1} == attempts


def test_who_waits_for_a_holder_hears_that_it_was_killed(holder: subprocess.Popen[str], connection: Connection) -> None:
    """B2: a run that is waited for is free as soon as its holder is dead, not when the claim expires."""
    assert [] == backlog.unheld_runs(connection, ["a", "b"])
    holder.kill()
    holder.wait()
    assert ["a", "b"] == backlog.unheld_runs(connection, ["a", "b"])


def test_only_the_runs_that_were_named_are_released(holder: subprocess.Popen[str], connection: Connection) -> None:
    """B2: of a dead holder's claims those of the named runs are released, then all; each run is what it was before."""
    assert [] == claims.release_of_the_dead(connection)
    holder.kill()
    holder.wait()
    assert ["b"] == claims.release_of_the_dead(connection, ["b", "other"])
    assert ["a"] == claims.release_of_the_dead(connection)
    assert ["normalized"] * 2 == [run.status for run in backlog.list_runs(connection)]


@pytest.mark.parametrize(
    "change",
    [
        "claimed_by = 'elsewhere/' || split_part(claimed_by, '/', 2)",
        "claimed_by = split_part(claimed_by, '/', 1) || 'x/' || split_part(claimed_by, '/', 2)",
        "claimed_namespace = 'pid:[1]'",
        "claimed_ticks = NULL, claimed_boot = NULL, claimed_namespace = NULL",
    ],
    ids=["another host", "a host with a longer name", "another container", "of an earlier version"],
)
def test_what_this_host_cannot_judge_stays(
    holder: subprocess.Popen[str], connection: Connection, holdings: Holdings, change: str
) -> None:
    """B2: claims of other hosts and containers, and those that say too little, are left until they expire."""
    holder.kill()
    holder.wait()
    connection.execute(f"UPDATE processed_runs SET {change}")
    assert [] == claims.release_of_the_dead(connection)
    assert isinstance(holdings.take(["a"], "embed", again=True)["a"], HeldBy)
    expire(connection)
    assert isinstance(holdings.take(["a"], "embed", again=True)["a"], Claim)


@pytest.mark.parametrize("change", ["claimed_ticks = claimed_ticks - 1", "claimed_boot = 'another boot'"])
@pytest.mark.usefixtures("holder")
def test_a_pid_that_was_given_to_somebody_else_is_no_holder(connection: Connection, change: str) -> None:
    """B2: a living process with the holder's pid, but another start or boot, does not hold the run."""
    connection.execute(f"UPDATE processed_runs SET {change}")
    assert ["a", "b"] == claims.release_of_the_dead(connection)


def test_a_name_is_no_pattern(connection: Connection) -> None:
    """B2: whatever a holder calls itself, it is no mistake: what is no pid is left alone."""
    terms = claims.Terms("embed", holder_name(pid=0) + "x", 600, again=True)
    claims.take(connection, ["a"], terms)
    connection.execute("UPDATE processed_runs SET claimed_ticks = 1, claimed_boot = '', claimed_namespace = ''")
    assert [] == claims.release_of_the_dead(connection)
