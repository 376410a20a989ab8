"""The claims of `run`, `dispatch` and `embed run` against other queues, and in a table of a million runs.

The word `small` makes it a tenth of the work. Each row names the verbs whose lane asks `Holdings` in that way. One
embedded server with durable commits has a database for each contestant. Contestants take turns; a ratio is the median
of the ratios of the turns. The peers are installed into the temporary folder; a missing peer has a line that says so.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from _server import PROCESSES, Bench
from _turns import Compared, compare

from trailblazer.config import Config, load_config
from trailblazer.database import server
from trailblazer.database.claims import Claim, Counts
from trailblazer.database.connection import Connection, connect, open_connection
from trailblazer.database.embedded import ModelKey
from trailblazer.database.holdings import Holdings
from trailblazer.database.statements import statement
from trailblazer.lanes.embed.grouping import MOST

SCALE = 10 if sys.argv[1:2] == ["small"] else 1
ROUNDS = 5
ONE_BY_ONE = 3_000 // SCALE  # by each process and turn
BATCHED = 100_000 // SCALE  # by all processes together, a turn
LONG, SHORT, CHURN = 1_000_000 // SCALE, 10_000, 200_000 // SCALE
KEY = ModelKey("local", "l2-supercat-256", 256)  # lanes name the model that runs may lack
STEPS = 300  # steps that are timed in a turn
TTL = 600.0
INSTALLING = 90.0

PEERS = Path(__file__).resolve().parent / "peers"
FILL_GRAPHILE = """
SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(
    SELECT json_populate_record(NULL::graphile_worker.job_spec, '{"identifier": "work", "payload": {}}')
    FROM generate_series(1, %s)))
"""


class Absent(Exception):
    """A peer cannot be had here; the message says why."""


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--work"]:
        _work(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
        return
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        bench = Bench(Path(name))
        try:
            print(f"{'what (runs/s, or ms a step)':<71} {'ours':>9} {'theirs':>9} {'ratio':>7}   reach")
            one_by_one(bench)
            batches(bench)
            long_table(bench)
        finally:
            server.stop(bench.base)


def put_runs(connection: Connection, waiting: int, done: int = 0) -> None:
    """Fill the table with runs that are done, then with some that wait, as new as they are; nothing else is in it."""
    connection.execute("TRUNCATE processed_runs")
    connection.execute(
        "INSERT INTO processed_runs (run_id, status, chunk_completed_at, embed_completed_at)"
        " SELECT 'run-' || lpad(n::text, 8, '0'), CASE WHEN n <= %(done)s THEN 'embedded' ELSE 'chunked' END,"
        " now(), CASE WHEN n <= %(done)s THEN now() END"
        " FROM generate_series(1, %(all)s) AS n",
        {"done": done, "all": done + waiting},
    )
    connection.execute("VACUUM ANALYZE processed_runs")
    connection.execute("CHECKPOINT")


def show(what: str, found: Compared, reach: str, form: str = ",.0f") -> None:
    """Print a line of the table."""
    print(f"{what:<71} {found.ours:>9{form}} {found.theirs:>9{form}} {found.ratio:>6.2f}x   {reach}", flush=True)


CLAIM = """
UPDATE processed_runs AS run
SET status = 'embedding', attempt = run.attempt + 1, claimed_by = 'host/1', claimed_at = now(),
    claim_expires_at = now() + interval '10 minutes', claimed_from = run.status, embed_started_at = now(),
    code_version = '0', updated_at = now()
WHERE run_id = (
    SELECT run_id FROM processed_runs WHERE waiting_for = 'embed' AND status = 'chunked'
    ORDER BY run_id COLLATE "POSIX" LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING run_id, attempt
\\gset
"""


def one_by_one(bench: Bench) -> None:
    """Claim and complete as verbs do, against pgbench that claims a run and completes it in two commits."""
    bench.make_database("single")
    finished = "jsonb_build_object(:run_id::text, jsonb_build_array(:attempt::integer, NULL, NULL, 1))"
    script = bench.folder / "two.sql"
    script.write_text(CLAIM + statement("settle_claims").replace("%(finished)s::jsonb", finished) + ";\n")
    with connect(bench.config("single")) as connection:

        def pgbench() -> float:
            put_runs(connection, PROCESSES * (ONE_BY_ONE + 2))
            command = [str(server.find_binaries() / "pgbench"), "-n", "-M", "prepared", "-c", str(PROCESSES), "-j",
                       str(PROCESSES), "-t", str(ONE_BY_ONE), "-f", str(script)]  # fmt: skip
            done = subprocess.run(
                command, env=bench.environment("single"), stdout=subprocess.PIPE, text=True, check=True, timeout=120
            )
            left = connection.execute("SELECT count(*) FROM processed_runs WHERE status <> 'embedded'").fetchone()
            assert left == (2 * PROCESSES,), "pgbench did not do the work"
            return float(re.findall(r"tps = ([\d.]+)", done.stdout)[0])

        def ours(shape: str, size: int) -> float:
            put_runs(connection, PROCESSES * ONE_BY_ONE)
            return bench.crowd(_ours(bench.config("single"), shape, size, PROCESSES * ONE_BY_ONE), "single")

        for what, shape, size, reach in (
            ("run, large runs: one, the next with it", "ahead", 1, ">= 1.1 x"),
            (f"run, small runs: {MOST}, the next with them", "ahead", MOST, "(for information)"),
            ("dispatch, large runs; embed run: one, then its end", "again", 1, "(for information)"),
            (f"dispatch, small runs: {MOST}, then their end", "again", MOST, "(for information)"),
        ):
            show(f"{what} / pgbench", compare(functools.partial(ours, shape, size), pgbench, ROUNDS), reach)


def _ours(config: Config, shape: str, size: int, waiting: int) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), "--work", config["db.url"], shape, str(size), str(waiting)]


def _work(url: str, shape: str, size: int, waiting: int) -> None:
    """Work through a share of the plan in groups of a size, as one slot of a dispatcher does; the words of `crowd`.

    The shape is `ahead` (run: what waits, and each completion claims the next group) or `again` (a named plan).
    """
    holdings = Holdings(lambda: connect(load_config({"db.url": url})), TTL, 3, KEY)
    holdings.show([])
    print("ready", flush=True)
    share = waiting // PROCESSES
    start = 1 + int(sys.stdin.readline()) * share
    plan = [f"run-{number:08}" for number in range(start, start + share)]
    groups = [plan[at : at + size] for at in range(0, len(plan), size)]
    first = time.time()
    for group, following in zip(groups, [*groups[1:], []], strict=True):
        taken = holdings.take(group, "embed", again=shape == "again")
        assert len(group) == sum(isinstance(claim, Claim) for claim in taken.values())
        lost = holdings.settle(dict.fromkeys(group, Counts(embedded_chunks=1)), following if shape == "ahead" else ())
        assert not lost
    print(json.dumps({"done": len(plan), "first": first, "last": time.time()}))
    holdings.close()


def batches(bench: Bench) -> None:
    """Claim and complete in the largest groups that `run` makes, against each peer at its best size."""
    bench.make_database("batched")

    def ours() -> float:
        with connect(bench.config("batched")) as connection:
            put_runs(connection, BATCHED)
        return bench.crowd(_ours(bench.config("batched"), "ahead", MOST, BATCHED), "batched")

    peers = (("PgQueuer", _install_pgqueuer, ">= 3 x"), ("Graphile Worker", _install_graphile, ">= 2 x"))
    for name, install, reach in peers:
        try:
            turn = install(bench)
        except Absent as absent:
            print(f"run, small runs: {name} cannot be had here ({absent}): not measured; {reach}")
            continue
        size = fastest(turn, (500, 1000, 2000))
        show(f"run, small runs: {MOST} / {name}, {size}", compare(ours, functools.partial(turn, size), ROUNDS), reach)


def fastest(rate: Callable[[int], float], sizes: Sequence[int]) -> int:
    """Return the size at which somebody works best: the one of the best median of three."""
    return max(sizes, key=lambda size: statistics.median(rate(size) for _ in range(3)))


def _install(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALLING, cwd=folder)
    except (OSError, subprocess.SubprocessError) as error:
        raise Absent(f"{Path(command[0]).name} does not bring it: {type(error).__name__}") from error


def _install_pgqueuer(bench: Bench) -> Callable[[int], float]:
    folder = bench.folder / "pgqueuer"
    _install([sys.executable, "-m", "venv", str(folder)], bench.folder)
    _install([str(folder / "bin/pip"), "install", "-q", "pgqueuer[asyncpg]", "uvloop"], bench.folder)
    bench.make_database("pgqueuer")
    words = [str(folder / "bin/python"), str(PEERS / "pgqueuer_worker.py")]
    environment = bench.environment("pgqueuer")
    subprocess.run([*words, "install", "0"], check=True, env=environment)

    def turn(size: int) -> float:
        subprocess.run([*words, "fill", str(BATCHED)], check=True, env=environment)
        _tidy(bench, "pgqueuer")
        return bench.crowd([*words, "work", str(size)], "pgqueuer")

    return turn


def _install_graphile(bench: Bench) -> Callable[[int], float]:
    folder = bench.folder / "graphile"
    folder.mkdir()
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise Absent("no node and npm")
    _install([npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "graphile-worker"], folder)
    words = [node, str(shutil.copy(PEERS / "graphile_worker.js", folder))]  # beside what it requires
    bench.make_database("graphile")
    subprocess.run([*words, "install", "1"], check=True, env=bench.environment("graphile"))

    def turn(size: int) -> float:
        with open_connection(bench.config("graphile")) as connection:
            connection.execute(FILL_GRAPHILE, (BATCHED,))
        _tidy(bench, "graphile")
        return bench.crowd([*words, "work", str(size)], "graphile")

    return turn


def _tidy(bench: Bench, database: str) -> None:
    """Give a peer's tables what ours get before a turn."""
    with open_connection(bench.config(database)) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def long_table(bench: Bench) -> None:
    """Time a step of `run` in a table of which nearly all is done, and in one that needs a vacuum."""
    for name in ("short", "long"):
        bench.make_database(name)
    with connect(bench.config("short")) as short, connect(bench.config("long")) as long:
        for connection in (short, long):
            connection.execute("ALTER TABLE processed_runs SET (autovacuum_enabled = off)")

        def times(begin: int) -> Compared:
            plans = plan_from(begin), plan_from(1)
            return compare(
                lambda: walk(bench.config("long"), plans[0], STEPS, 1),
                lambda: walk(bench.config("short"), plans[1], STEPS, 1),
                10,
            )

        put_runs(short, SHORT)
        put_runs(long, SHORT, LONG - SHORT)
        show(
            f"run, large runs: a step at {LONG:,} runs, {100 - 100 * SHORT // LONG} % done / at {SHORT:,}",
            times(LONG - SHORT + 1),
            "<= 1.2 x",
            ",.3f",
        )
        put_runs(short, SHORT)
        put_runs(long, SHORT + CHURN, LONG - SHORT - CHURN)
        walk(bench.config("long"), plan_from(LONG - SHORT - CHURN + 1), CHURN // 500 - 1, 500)
        show(f"  the same after {CHURN:,} cycles without a vacuum", times(LONG - SHORT + 1), "<= 1.2 x", ",.3f")


def plan_from(number: int) -> Iterator[str]:
    """Return the ids of runs from a number on."""
    return (f"run-{at:08}" for at in itertools.count(number))


def walk(config: Config, plan: Iterator[str], steps: int, size: int) -> float:
    """Settle groups of a plan, each with the next, and return the median of the milliseconds of a step."""

    def without_disk() -> Connection:
        connection = connect(config)
        connection.execute("SET synchronous_commit = off")  # the disk would hide the difference
        return connection

    holdings = Holdings(without_disk, TTL, 3, KEY)
    group, times = list(itertools.islice(plan, size)), []
    holdings.take(group, "embed", again=False)
    for _ in range(steps):
        following = list(itertools.islice(plan, size))
        start = time.perf_counter()
        lost = holdings.settle(dict.fromkeys(group, Counts(embedded_chunks=1)), following)
        times.append(time.perf_counter() - start)
        assert not lost
        group = following
        assert all(isinstance(claim, Claim) for claim in holdings.take(group, "embed", again=False).values())
    holdings.settle(dict.fromkeys(group, Counts(embedded_chunks=1)))
    holdings.close()
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    main()
