"""What is left of the local embedder's speed when a manual is chunked, embedded and stored; and how fast others do it.

Run as `python benchmarks/embedding.py [FOLDER]`: FOLDER holds pages in HTML, by default the PostgreSQL manual. All who
take part have the same text, the same embedder (ours) and the same server. They take turns, and are new processes in
each turn. They are timed from the moment when they have loaded everything and stored some text, and as whole commands.
`processor` adds up their processes and the server's: it says what the work costs on a machine that is busy. A whole
`trailblazer run` finds the words of the chunks as well, for `ask`; the others do not. LangChain and Chroma are
installed into the temporary folder; a line says so when they cannot be had.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from _embedding_work import WARM_UPS
from _manual import download_manual
from _server import Bench
from _turns import seconds_of

from trailblazer.config import load_config
from trailblazer.database import server
from trailblazer.database.connection import connect
from trailblazer.paths import Places
from trailblazer.pipeline.chunk import chunk_run
from trailblazer.pipeline.chunk_file import CHUNKS, read_chunks
from trailblazer.pipeline.documents import NORMALIZED, Document, read_documents
from trailblazer.pipeline.normalize import write_run
from trailblazer.pipeline.sample import normalize_sample

TURNS = 4  # one more at the start warms up and does not count
PARTS = list(WARM_UPS)
LIMIT = 300.0  # seconds for a peer to be installed, and for a process to work
PROGRAM = str(Path(sys.executable).with_name("trailblazer"))
PEERS = Path(__file__).resolve().parent / "peers"
PACKAGES = ("langchain-text-splitters", "langchain-postgres", "psycopg[binary]", "chromadb")


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of the work; processor seconds of all its processes with the server's; seconds of the whole command.

    `chunking` is the share of the seconds that went into chunking.
    """

    seconds: float
    processor: float
    whole: float
    chunking: float = 0.0


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        bench = Bench(Path(name))
        (bench.folder / "config").mkdir()
        (bench.folder / "config/.trailblazer.yaml").touch()
        try:
            print(_machine())
            _make_corpus(bench, Path(sys.argv[1]).resolve() if sys.argv[1:] else download_manual(bench.folder))
            _show(_take_turns(_contestants(bench)))
        finally:
            server.stop(bench.base)


def _machine() -> str:
    told = dict(re.findall(r"^([^:\n]+):\s*(.*)$", subprocess.check_output(["lscpu"], text=True), re.MULTILINE))
    cores = int(told.get("Socket(s)", 1)) * int(told.get("Core(s) per socket", 1))
    hidden = "; a virtual machine: they may be threads of fewer" if "Hypervisor vendor" in told else ""
    return f"{told.get('CPU(s)')} processors; lscpu says {cores} physical cores{hidden}"


def _make_corpus(bench: Bench, pages: Path) -> None:
    """Make two runs of about equal size of the pages, write their chunks beside them, and normalize the warm-up."""
    places = Places(bench.folder, bench.folder / "var")
    words = ["normalize", str(pages), "--run", "manual", "--quiet"]
    subprocess.run([PROGRAM, *words], cwd=bench.folder, check=True, stdout=subprocess.DEVNULL)
    documents = sorted(read_documents(places.run("manual") / NORMALIZED), key=lambda one: len(one.text_md))
    shutil.move(places.run("manual") / NORMALIZED, bench.folder / "manual.ndjson")
    shutil.rmtree(places.run("manual"))
    count = 0
    for number, rid in enumerate(PARTS):
        part: list[Document] = sorted(documents[number :: len(PARTS)], key=lambda one: one.id)
        write_run(places, rid, part)
        chunk_run(places, load_config(start=bench.folder), rid)
        texts = [chunk.text for chunk in read_chunks(places.run(rid) / CHUNKS)]
        (bench.folder / f"{rid}.json").write_text(json.dumps(texts))
        count += len(texts)
    for _ in normalize_sample(places, 1):
        pass
    for rid in WARM_UPS.values():
        write_run(places, rid, list(read_documents(places.run("package-readmes") / NORMALIZED)))
    characters = sum(len(document.text_md) for document in documents)
    print(f"{len(documents):,} pages, {characters:,} characters, {count:,} chunks\n", flush=True)


def _contestants(bench: Bench) -> dict[str, Callable[[], Took]]:
    """Return who takes part: a function for each name that does the work once."""
    here = [sys.executable, str(Path(__file__).resolve().with_name("_embedding_work.py"))]
    shares = ([PARTS], [[rid] for rid in PARTS])
    found: dict[str, Callable[[], Took]] = {}
    for share in shares:
        many = "1 process" if len(share) == 1 else f"{len(share)} processes"
        for name, what in (("embedder alone", "alone"), ("trailblazer run: its workers", "worker")):
            found[f"{name}, {many}"] = functools.partial(_time, bench, [[*here, what, *one] for one in share])
    for workers in ("1", "2"):
        found[f"trailblazer run --workers {workers}"] = functools.partial(_time_command, bench, workers)
    try:
        python = _install(bench.folder / "peers")
    except (OSError, subprocess.SubprocessError) as error:
        print(f"LangChain and Chroma cannot be had here ({type(error).__name__}): not measured")
        return found
    bench.make_database("langchain")
    at = bench.environment("langchain")
    address = f"postgresql+psycopg://{at['PGUSER']}@/langchain?host={at['PGHOST']}&port={at['PGPORT']}"
    text = str(bench.folder / "manual.ndjson")
    words = [python, str(PEERS / "langchain_pgvector.py"), text, address]
    found["LangChain, PGVector"] = functools.partial(_time, bench, [words])

    def chroma() -> Took:
        with tempfile.TemporaryDirectory(dir=bench.folder) as place:
            return _time(bench, [[python, str(PEERS / "chroma_client.py"), text, place]])

    found["Chroma, persistent client"] = chroma
    return found


def _install(folder: Path) -> str:
    """Make the environment of the peers, which finds trailblazer and what it needs behind its own packages."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True, timeout=LIMIT)
    pip = [str(folder / "bin/pip"), "install", "-q", "--disable-pip-version-check", *PACKAGES]
    subprocess.run(pip, check=True, capture_output=True, timeout=LIMIT)
    (site,) = (folder / "lib").glob("python*/site-packages")
    ours = [Path(str(find_spec(name).origin)).parents[1] for name in ("trailblazer", "splintr")]  # type: ignore[union-attr]
    (site / "trailblazer-bench.pth").write_text("".join(f"{path}\n" for path in ours))
    return str(folder / "bin/python")


def _take_turns(contestants: dict[str, Callable[[], Took]]) -> dict[str, list[Took]]:
    turns = [{name: work() for name, work in contestants.items()} for _ in range(TURNS + 1)][1:]
    return {name: [turn[name] for turn in turns] for name in contestants}


def _time(bench: Bench, commands: Sequence[Sequence[str]]) -> Took:
    """Start processes that say `ready`, give each a line when all are ready, and add up what they say they took."""
    _clear(bench)
    pipe, began = subprocess.PIPE, time.perf_counter()
    children = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=bench.folder, env=_environment())
        for command in commands
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    before = _server_seconds(bench)
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    told = [json.loads(child.communicate(timeout=LIMIT)[0]) for child in children]
    return Took(
        max(one["seconds"] for one in told),
        sum(one["processor"] for one in told) + _server_seconds(bench) - before,
        time.perf_counter() - began,
        sum(one.get("chunking", 0) for one in told) / sum(one["seconds"] for one in told),
    )


def _time_command(bench: Bench, workers: str) -> Took:
    _clear(bench)
    before = _server_seconds(bench), os.times()
    words = ["run", "--runs", "part-*", "--workers", workers, "--quiet"]
    seconds = seconds_of([PROGRAM, *words], cwd=bench.folder)
    after = os.times()
    own = after.children_user + after.children_system - before[1].children_user - before[1].children_system
    return Took(seconds, own + _server_seconds(bench) - before[0], seconds)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("TRAILBLAZER_", "PYTHON"))}


def _clear(bench: Bench) -> None:
    """Make all runs wait again."""
    places = Places(bench.folder, bench.folder / "var")
    for rid in (*PARTS, *WARM_UPS.values()):
        for made in ("chunk", "embed", "preflight"):
            shutil.rmtree(places.run(rid) / made, ignore_errors=True)
    with connect(load_config(start=bench.folder)) as connection:
        connection.execute("TRUNCATE documents, chunks, chunk_embeddings, processed_runs, run_models")
        connection.execute("CHECKPOINT")


def _server_seconds(bench: Bench) -> float:
    """Return what the server's processes have taken of the processor so far, those that ended included."""
    postmaster = (bench.base / "data/postmaster.pid").read_text().split()[0]
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if stat.parent.name == postmaster:
            ticks += sum(map(int, fields[11:15]))
        elif fields[1] == postmaster:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _show(found: dict[str, list[Took]]) -> None:
    print(f"{'medians of ' + str(TURNS) + ' turns':<42} {'when loaded':>12} {'processor':>10} {'whole':>8}")
    for name, turns in found.items():
        loaded, processor, whole = (
            statistics.median(column)
            for column in zip(*((t.seconds, t.processor, t.whole) for t in turns), strict=True)
        )
        print(f"{name:<42} {loaded:>10.2f} s {processor:>8.2f} s {whole:>6.2f} s")
    print()
    for many in ("1 process", "2 processes"):
        ours, alone = found[f"trailblazer run: its workers, {many}"], found[f"embedder alone, {many}"]
        share, of_processor = _ratio(alone, ours, "seconds"), _ratio(alone, ours, "processor")
        chunking = statistics.median(took.chunking for took in ours)
        print(
            f"chunk + embed + store, {many}: {share:.0%} of the embedder alone in as many (by processor time"
            f" {of_processor:.0%}); {chunking:.0%} of the time is chunking   >= 60 %"
        )
    for peer in ("LangChain, PGVector", "Chroma, persistent client"):
        if peer in found:
            loaded = [
                f"{_ratio(found[peer], found[f'trailblazer run: its workers, {many}'], 'seconds'):.1f} x in {many}"
                for many in ("1 process", "2 processes")
            ]
            whole = _ratio(found[peer], found["trailblazer run --workers 2"], "whole")
            print(f"{peer} takes {' and '.join(loaded)}; as whole commands {whole:.1f} x with 2 workers   >= 5 x")


def _ratio(one: list[Took], other: list[Took], field: str) -> float:
    """Return the median of the ratios of the turns."""
    return float(statistics.median(getattr(a, field) / getattr(b, field) for a, b in zip(one, other, strict=True)))


if __name__ == "__main__":
    main()
