"""How chunking, embedding and storing grow with the number of chunks in one run.

The text is the topics of Python's manual, again and again.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from _points import Point, spent_by

from trailblazer.database import server, vitals
from trailblazer.paths import Places
from trailblazer.pipeline.chunk_file import CHUNKS
from trailblazer.pipeline.documents import Document
from trailblazer.pipeline.normalize import write_run
from trailblazer.pipeline.sample import read_topics

SIZES = (1_000, 10_000, 100_000)
RUN = "grown"
PROGRAM = str(Path(sys.executable).with_name("trailblazer"))


def documents() -> Iterator[Point]:
    """Yield what a run of so many chunks costs `trailblazer chunk` and `trailblazer embed run`, as whole commands.

    Both find the words for `ask` or make the index as well: there is an index from 10,000 vectors on.
    """
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
            folder = Path(name)
            (folder / "config").mkdir()
            (folder / "config/.trailblazer.yaml").touch()
            places = Places(folder, folder / "var")
            try:
                write_run(places, RUN, itertools.islice(_text(), _documents_of(size)))
                spent_by([PROGRAM, "db", "start"], folder)
                chunked = spent_by([PROGRAM, "chunk", "--run", RUN, "--quiet"], folder)
                embedded = spent_by([PROGRAM, "embed", "run", "--run", RUN], folder)
                chunks = sum(1 for _ in (places.run(RUN) / CHUNKS).open("rb"))
                yield chunked.at("chunk: chunks of one run", chunks)
                yield embedded.at("embed run: the same chunks", chunks)
            finally:
                server.stop(vitals.base_of(places))


def _text() -> Iterator[Document]:
    """Yield the topics without end; none is equal to another."""
    topics = list(read_topics())
    for number in itertools.count():
        topic = topics[number % len(topics)]
        yield replace(topic, id=f"{topic.id}-{number}", text_md=f"Copy {number}.\n\n{topic.text_md}")


def _documents_of(chunks: int) -> int:
    """Return about how many documents have so many chunks."""
    return chunks * 79 // 231
