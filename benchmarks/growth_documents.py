"""How chunking, embedding and storing grow with the number of chunks in one run.

Run as `python benchmarks/growth_documents.py [MOST]`: sizes go up to MOST chunks, by default 10,000: 100,000 take
some minutes. The text is the topics of Python's manual, again and again.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from _growth import Point, show

from trailblazer.config import load_config
from trailblazer.database import server, vitals
from trailblazer.database.connection import connect
from trailblazer.paths import Places
from trailblazer.pipeline.documents import Document
from trailblazer.pipeline.normalize import write_run
from trailblazer.pipeline.sample import read_topics

SIZES = (1_000, 10_000, 100_000)
RUN = "grown"
PROGRAM = str(Path(sys.executable).with_name("trailblazer"))
STAGES = "SELECT total_chunks, extract(epoch FROM chunk_completed_at - chunk_started_at)::float8, "
STAGES += "extract(epoch FROM embed_completed_at - embed_started_at)::float8 FROM processed_runs"


def documents(sizes: tuple[int, ...] = SIZES) -> Iterator[Point]:
    """Yield what a run of so many chunks costs `trailblazer chunk` and `trailblazer embed run`.

    The table of runs says how long the two phases took. The whole commands find the words and make the index as well:
    there is an index from 10,000 vectors on.
    """
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        for size in sizes:
            folder = Path(name) / str(size)
            (folder / "config").mkdir(parents=True)
            (folder / "config/.trailblazer.yaml").touch()
            places = Places(folder, folder / "var")
            try:
                write_run(places, RUN, itertools.islice(_text(), _documents_of(size)))
                yield from _points(folder)
            finally:
                server.stop(vitals.base_of(places))


def _points(folder: Path) -> Iterator[Point]:
    chunk_seconds, chunk_peak = _command(folder, "chunk", "--run", RUN, "--quiet")
    embed_seconds, embed_peak = _command(folder, "embed", "run", "--run", RUN)
    with connect(load_config(start=folder)) as connection:
        row = connection.execute(STAGES).fetchone()
    assert row is not None
    chunks, chunking, embedding = row
    yield Point("trailblazer chunk: the phase", chunks, chunking, chunk_peak)
    yield Point("trailblazer embed run: embed + store", chunks, embedding, embed_peak)
    whole = chunk_seconds + embed_seconds
    yield Point("chunk, then embed run: commands, words, index", chunks, whole, max(chunk_peak, embed_peak))


def _command(folder: Path, *words: str) -> tuple[float, float]:
    """Run a verb and return its seconds and its peak memory in MiB."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRAILBLAZER_", "PYTHON"))}
    begin = time.perf_counter()
    process = subprocess.Popen([PROGRAM, *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return time.perf_counter() - begin, used.ru_maxrss / 1024


def _text() -> Iterator[Document]:
    """Yield the topics without end; none is equal to another."""
    topics = list(read_topics())
    for number in itertools.count():
        topic = topics[number % len(topics)]
        yield replace(topic, id=f"{topic.id}-{number}", text_md=f"Copy {number}.\n\n{topic.text_md}")


def _documents_of(chunks: int) -> int:
    """Return about how many documents have so many chunks."""
    return chunks * 79 // 231


if __name__ == "__main__":
    most = int(sys.argv[1]) if sys.argv[1:] else 10_000
    show(documents(tuple(size for size in SIZES if size <= most)))
