"""Claims against pgbench, PgQueuer and Graphile Worker, and in a table of a million runs; ratios in one run.

Run as `python benchmarks/claims.py`. One embedded server is made for it, with durable commits, and a database for each
contestant. Those who are compared take turns, and the ratio is the median of the ratios of their turns. The peers are
installed into the temporary folder; where no registry has them, their lines say so.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from _server import PROCESSES, Bench
from _turns import Compared, compare

from trailblazer.config import Config, load_config
from trailblazer.database import claims, server
from trailblazer.database.connection import Connection, connect, open_connection
from trailblazer.database.statements import statement
from trailblazer.processes.identity import holder_name

ROUNDS = 5
ONE_BY_ONE = 3_000  # by each process and turn
BATCHED = 100_000  # by all processes together, a turn
LONG, SHORT, CHURN = 1_000_000, 10_000, 200_000
STEPS = 300  # claims that are timed in a turn
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
        _work(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        bench = Bench(Path(name))
        try:
            print(f"{'what (jobs/s, or ms a claim)':<61} {'ours':>9} {'theirs':>9} {'ratio':>7}   reach")
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
    print(f"{what:<61} {found.ours:>9{form}} {found.theirs:>9{form}} {found.ratio:>6.2f}x   {reach}", flush=True)


def one_by_one(bench: Bench) -> None:
    """Complete a run and claim the next in one commit, against the same in two."""
    bench.make_database("single")
    waiting = statement("waiting").replace("__phase__", "embed").replace("__scope__", "true")
    claim = (
        f'WITH chosen AS ({waiting} ORDER BY run_id COLLATE "POSIX" LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)\n'
        + statement("take_chosen")
    )
    complete = (
        statement("settle_claims")
        .replace("%(settled_ids)b", "ARRAY[:run_id]")
        .replace("%(attempts)b", "ARRAY[:attempt]")
    )
    fused = claims._settle_and_claim("embed", 1, False).replace("%(settled_ids)b", "%(run_ids)b")
    scripts = {"fused": fused + "\n\\gset\n", "two": f"{claim}\n\\gset\n{complete};\n"}
    for name, text in scripts.items():
        (bench.folder / f"{name}.sql").write_text(re.sub(r"%\((\w+)\)[sb]", r":\1", text))
    with connect(bench.config("single")) as connection:

        def pgbench(name: str) -> float:
            put_runs(connection, PROCESSES * (ONE_BY_ONE + 2))
            given = {"phase": "embed", "holder": "host/1", "ttl": f"{TTL} seconds", "code_version": "0", "after": "!"}
            given |= dict.fromkeys(("run_ids", "attempts", "docs", "chunks", "embedded"), "{}")
            command = [str(server.find_binaries() / "pgbench"), "-n", "-M", "prepared", "-c", str(PROCESSES), "-j",
                       str(PROCESSES), "-t", str(ONE_BY_ONE), "-f", str(bench.folder / f"{name}.sql"),
                       *(word for key, value in given.items() for word in ("-D", f"{key}={value}"))]  # fmt: skip
            done = subprocess.run(
                command, env=bench.environment("single"), stdout=subprocess.PIPE, text=True, check=True, timeout=120
            )
            return float(re.findall(r"tps = ([\d.]+)", done.stdout)[0])

        def python(shape: str) -> float:
            put_runs(connection, PROCESSES * ONE_BY_ONE)
            return bench.crowd(_ours(bench.config("single"), shape, 1), "single")

        for what, ours, theirs, reach in (
            ("one at a time: complete and claim next / two commits, pgbench", pgbench, pgbench, ">= 1.1 x"),
            ("  the same, ours from Python", python, pgbench, "(for information)"),
            ("  the same, both from Python", python, python, "(for information)"),
        ):
            found = compare(functools.partial(ours, "fused"), functools.partial(theirs, "two"), ROUNDS)
            show(what, found, reach)


def _ours(config: Config, shape: str, limit: int) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), "--work", config["db.url"], shape, str(limit)]


def _work(url: str, shape: str, limit: int) -> None:
    """Work through the line in batches, as a worker does; the words of `crowd`."""
    connection = connect(load_config({"db.url": url}))
    me, place, done, last = holder_name(), "", 0, 0.0
    held: list[claims.Claim] = []
    print("ready", flush=True)
    sys.stdin.readline()
    first = time.time()
    while done == 0 or held:
        done += len(held)
        if shape == "two":
            claims.complete(connection, held)
            held = []
        held = claims.complete_and_claim_next(
            connection, held, "embed", holder=me, ttl_seconds=TTL, limit=limit, after=place
        )
        if not held and not done:
            break
        place, last = held[-1].run_id if held else place, time.time()
    print(json.dumps({"done": done, "first": first, "last": last}))


def batches(bench: Bench) -> None:
    """Claim and complete in batches, against each peer at its best."""
    bench.make_database("batched")

    def ours(limit: int) -> float:
        with connect(bench.config("batched")) as connection:
            put_runs(connection, BATCHED)
        return bench.crowd(_ours(bench.config("batched"), "fused", limit), "batched")

    best = fastest(ours, (1000, 2000, 4000))
    peers = (
        ("PgQueuer", _install_pgqueuer, "worker", (500, 1000, 2000), ">= 3 x"),
        ("Graphile Worker", _install_graphile, "work", (500, 1000, 2000), ">= 2 x"),
        ("PgQueuer's bare statements", _install_pgqueuer, "statements", (500, 1000), "(for information)"),
    )
    for name, install, word, sizes, reach in peers:
        try:
            turn = functools.partial(install(bench), word)
        except Absent as absent:
            print(f"batches: {name} cannot be had here ({absent}): not measured; {reach}")
            continue
        size = fastest(turn, sizes)
        show(
            f"batches of {best} / {name}, {size}",
            compare(lambda: ours(best), functools.partial(turn, size), ROUNDS),
            reach,
        )


def fastest(rate: Callable[[int], float], sizes: Sequence[int]) -> int:
    """Return the size at which somebody works best: the one of the best median of three."""
    return max(sizes, key=lambda size: statistics.median(rate(size) for _ in range(3)))


def _install(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALLING, cwd=folder)
    except (OSError, subprocess.SubprocessError) as error:
        raise Absent(f"{Path(command[0]).name} does not bring it: {type(error).__name__}") from error


@functools.cache
def _install_pgqueuer(bench: Bench) -> Callable[[str, int], float]:
    folder = bench.folder / "pgqueuer"
    _install([sys.executable, "-m", "venv", str(folder)], bench.folder)
    _install([str(folder / "bin/pip"), "install", "-q", "pgqueuer[asyncpg]", "uvloop"], bench.folder)
    bench.make_database("pgqueuer")
    words = [str(folder / "bin/python"), str(PEERS / "pgqueuer_worker.py")]
    environment = bench.environment("pgqueuer")
    subprocess.run([*words, "install", "0"], check=True, env=environment)

    def turn(word: str, size: int) -> float:
        subprocess.run([*words, "fill", str(BATCHED)], check=True, env=environment)
        _tidy(bench, "pgqueuer")
        return bench.crowd([*words, word, str(size)], "pgqueuer")

    return turn


def _install_graphile(bench: Bench) -> Callable[[str, int], float]:
    folder = bench.folder / "graphile"
    folder.mkdir()
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise Absent("no node and npm")
    _install([npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "graphile-worker"], folder)
    words = [node, str(shutil.copy(PEERS / "graphile_worker.js", folder))]  # beside what it requires
    bench.make_database("graphile")
    subprocess.run([*words, "install", "1"], check=True, env=bench.environment("graphile"))

    def turn(word: str, size: int) -> float:
        with open_connection(bench.config("graphile")) as connection:
            connection.execute(FILL_GRAPHILE, (BATCHED,))
        _tidy(bench, "graphile")
        return bench.crowd([*words, word, str(size)], "graphile")

    return turn


def _tidy(bench: Bench, database: str) -> None:
    """Give a peer's tables what ours get before a turn."""
    with open_connection(bench.config(database)) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def long_table(bench: Bench) -> None:
    """Time a claim where nearly all is done, and where much has been done since the last vacuum."""
    for name in ("short", "long"):
        bench.make_database(name)
    with connect(bench.config("short")) as short, connect(bench.config("long")) as long:
        for connection in (short, long):
            connection.execute("ALTER TABLE processed_runs SET (autovacuum_enabled = off)")
            connection.execute("SET synchronous_commit = off")  # the disk would hide the difference

        def times(remembers: bool = True) -> Compared:
            return compare(lambda: walk(long, STEPS, 1, remembers), lambda: walk(short, STEPS, 1, remembers), 10)

        put_runs(short, SHORT)
        put_runs(long, SHORT, LONG - SHORT)
        show(f"a claim at {LONG:,} runs, 99 % done / at {SHORT:,}", times(), "<= 1.2 x", ",.3f")
        put_runs(short, 2 * SHORT)
        put_runs(long, 2 * SHORT + CHURN, LONG - 2 * SHORT - CHURN)
        walk(long, CHURN // 500, 500, True)
        show(f"  the same after {CHURN:,} cycles without a vacuum", times(), "<= 1.2 x", ",.3f")
        show("  the same, always from the start of the line", times(False), "(for information)", ",.3f")


def walk(connection: Connection, steps: int, limit: int, remembers: bool) -> float:
    """Complete and claim so many times and return the median of the milliseconds; `remembers` the place in the line."""
    held: list[claims.Claim] = []
    times, place = [], ""
    for _ in range(steps):
        start = time.perf_counter()
        held = claims.complete_and_claim_next(
            connection, held, "embed", holder="bench/1", ttl_seconds=TTL, limit=limit, after=place if remembers else ""
        )
        times.append(time.perf_counter() - start)
        place = held[-1].run_id
    claims.complete(connection, held)
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    main()
