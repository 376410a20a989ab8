"""How much of the local embedder's speed is left when a corpus is chunked, embedded and stored.

Run as `python benchmarks/embedding.py [FOLDER]`: the corpus is every md, txt, rst and html below FOLDER, by default
the docstrings of Python's own library. Every measurement is a new process that has loaded its tables and has not read
the corpus: tokenizers remember texts, and would be several times faster the second time.
"""

from __future__ import annotations

import ast
import contextlib
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trailblazer.config import load_config
from trailblazer.database import claims, server, vitals
from trailblazer.database.connection import connect
from trailblazer.paths import Places
from trailblazer.pipeline.chunk import chunk_run
from trailblazer.pipeline.chunk_file import CHUNKS, read_chunks
from trailblazer.pipeline.documents import NORMALIZED, Document, read_documents
from trailblazer.pipeline.embedding import Embedding
from trailblazer.pipeline.normalize import normalize_files, plan_runs, write_run
from trailblazer.pipeline.sample import normalize_sample
from trailblazer.processes.identity import holder_name

ROUNDS = 3
PARTS = 2
WARM_UP = "package-readmes"


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--measure"]:
        _measure(sys.argv[2], Path(sys.argv[3]), sys.argv[4:-1], int(sys.argv[-1]))
        return
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        folder = Path(name)
        places = Places(folder, folder / "var")
        try:
            _compare(folder, places)
        finally:
            server.stop(vitals.base_of(places))


def _compare(folder: Path, places: Places) -> None:
    rids = _make_corpus(places, Path(sys.argv[1]) if sys.argv[1:] else None)
    alone = {}
    for batch in (32, 256, 2048):
        alone[batch] = _best("alone", folder, [rids], batch)
        print(f"embedder alone, 1 process, batches of {batch:>4}: {_in_words(alone[batch])}")
    best = max(alone, key=lambda batch: alone[batch].rate)
    both = _best("alone", folder, [rids[:1], rids[1:]], best)
    print(f"embedder alone, 2 processes, batches of {best:>4}: {_in_words(both)}")
    for shares, reference in (([rids], alone[best]), ([rids[:1], rids[1:]], both)):
        found = _best("pipeline", folder, shares, best)
        print(f"chunk + embed + store, processes: {len(shares)}: {_in_words(found)}")
        print(f"  of the embedder alone in as many processes: {found.rate / reference.rate:.0%}")
        print(f"  of the embedder alone in one process: {found.rate / alone[best].rate:.0%}")
        print("  time goes to: " + ", ".join(f"{stage} {share:.0%}" for stage, share in found.stages.items()))


def _make_corpus(places: Places, folder: Path | None) -> list[str]:
    """Normalise and chunk the corpus as two runs of about equal size, and the warm-up; return the two ids."""
    documents = list(_read(places, folder) if folder else _docstrings())
    documents.sort(key=lambda document: len(document.text_md))
    rids = [f"part-{number}" for number in range(PARTS)]
    for number, rid in enumerate(rids):
        part = sorted(documents[number::PARTS], key=lambda document: document.id)
        write_run(places, rid, part)
    for _ in normalize_sample(places, 1):
        pass
    config = load_config(start=places.root)
    chunks = sum(chunk_run(places, config, rid).chunks for rid in (*rids, WARM_UP))
    text = sum(len(document.text_md) for document in documents)
    print(f"corpus: {len(documents):,} documents, {text:,} characters; with the warm-up {chunks:,} chunks")
    return rids


def _read(places: Places, folder: Path) -> Iterator[Document]:
    for source in plan_runs(folder, None):
        normalize_files(places, source)
        for document in read_documents(places.run(source.rid) / NORMALIZED):
            yield Document(f"{source.rid}/{document.id}", document.text_md, document.title)


def _docstrings() -> Iterator[Document]:
    """Yield the docstrings of each module of the standard library as one document."""
    library = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted(library.rglob("*.py")):
        name = file.relative_to(library).as_posix()
        if name.startswith(("test/", "site-packages/", "dist-packages/", "lib2to3/", "idlelib/")):
            continue
        with contextlib.suppress(SyntaxError, UnicodeDecodeError):
            tree = ast.parse(file.read_text("utf-8"))
            parts = [
                f"## {getattr(node, 'name', name)}\n\n{text}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and (text := ast.get_docstring(node))
            ]
            if parts:
                yield Document(name, "\n\n".join(parts), name)


@dataclass(frozen=True, slots=True)
class Found:
    """Texts per second of wall-clock and of processor time, over all processes, and the share of time of each stage."""

    rate: float
    cpu_rate: float
    stages: dict[str, float]


def _best(what: str, folder: Path, shares: list[list[str]], batch: int) -> Found:
    """Return the round with the highest rate."""
    return max((_round(what, folder, shares, batch) for _ in range(ROUNDS)), key=lambda found: found.rate)


def _round(what: str, folder: Path, shares: list[list[str]], batch: int) -> Found:
    if what == "pipeline":
        with connect(load_config(start=folder)) as connection:
            connection.execute("TRUNCATE documents, chunks, chunk_embeddings, processed_runs")
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", what, str(folder)]
    pipe = subprocess.PIPE
    children = [
        subprocess.Popen([*command, *rids, str(batch)], stdin=pipe, stdout=pipe, text=True, cwd=folder)
        for rids in shares
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    parts = [json.loads(child.communicate()[0]) for child in children]
    texts = sum(part["texts"] for part in parts)
    total = sum(sum(part["stages"].values()) for part in parts)
    return Found(
        rate=texts / max(part["seconds"] for part in parts),
        cpu_rate=texts / sum(part["cpu"] for part in parts),
        stages={stage: sum(part["stages"][stage] for part in parts) / total for stage in parts[0]["stages"]},
    )


def _in_words(found: Found) -> str:
    return f"{found.rate:>8,.0f} texts/s"


def _measure(what: str, folder: Path, rids: list[str], batch: int) -> None:
    """Load, warm up, print `ready`, wait for a line, work, and print the times as JSON."""
    config = load_config(start=folder)
    places = config.places
    embedding = Embedding({"embed.batch_size": batch})
    embedder = embedding.embedder
    connection = connect(config)
    chunk_run(places, config, WARM_UP, force=True)
    embedder.embed([chunk.text for chunk in read_chunks(places.run(WARM_UP) / CHUNKS)])
    texts = [[chunk.text for chunk in read_chunks(places.run(rid) / CHUNKS)] for rid in rids]
    print("ready", flush=True)
    sys.stdin.readline()
    spent = {"chunk": 0.0, "embed and store": 0.0}
    begin, cpu = time.perf_counter(), time.process_time()
    for rid, known in zip(rids, texts, strict=True):
        start = time.perf_counter()
        if what == "pipeline":
            chunk_run(places, config, rid, force=True)
            spent["chunk"] += time.perf_counter() - start
            start = time.perf_counter()
            who = holder_name()
            claim = claims.take(connection, [rid], claims.Terms("embed", who, 600, again=True))[rid]
            assert isinstance(claim, claims.Claim)
            embedding.embed([claim], None)
        else:
            for place in range(0, len(known), batch):
                embedder.embed(known[place : place + batch])
        spent["embed and store"] += time.perf_counter() - start
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    print(json.dumps({"texts": sum(map(len, texts)), "seconds": seconds, "cpu": cpu, "stages": spent}))


if __name__ == "__main__":
    main()
