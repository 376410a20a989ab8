"""The processes of a round of signals: a dispatcher that goes on where a killed one stopped, agents, and readers.

Each is forked by the round, and killed by it at any moment. What they did is in `journal` and `diary`, a line each.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.errors import DocumentInvalid, StaleClaim
from trailblazer.signals import BatchFileDispatcher, Context, FileDispatcher, read_manifest
from trailblazer.signals.agents import Found, Taker, find_signal, submit
from trailblazer.signals.batches import Batch
from trailblazer.signals.documents import ENDED, read_signal
from trailblazer.signals.files import Post
from trailblazer.signals.suite import Suite, numbers_in

SIGNALS, GROUP, SLOTS = 200, 4, 6
TIMEOUT_SECONDS = 2.0
LATEST_SECONDS = 6.0  # an agent that wants to be late waits so long for the end of its signal


class Lines:
    """An append-only file of JSON lines that any number of processes share."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def add(self, **line: Any) -> None:
        """Append a line with one write."""
        handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(handle, json.dumps(line).encode() + b"\n")
        os.close(handle)

    def read(self) -> list[dict[str, Any]]:
        """Return the lines."""
        return [json.loads(line) for line in self.file.read_bytes().splitlines()] if self.file.exists() else []


def case_name(number: int) -> str:
    """Return the id of a case."""
    return f"case-{number:03d}"


class Dispatching:
    """Dispatches every case until it has an answer; what an earlier process posted is found again."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.chance = random.Random(seed)
        self.journal = Lines(folder / "journal")
        self.suite = Suite(folder / "suite")
        self.single = FileDispatcher(folder / "suite", timeout=TIMEOUT_SECONDS)
        self.batches = BatchFileDispatcher(self.single, phase="triage")
        self.lock = threading.Lock()

    def work(self) -> None:
        """Go on until every case is answered, then close."""
        self.suite.make()
        numbers = (*numbers_in(self.suite.signals), *numbers_in(self.suite.batches))
        self.journal.add(kind="begin", pid=os.getpid(), newest=max(numbers, default=0))
        self.single.sweep()
        with ThreadPoolExecutor(SLOTS) as pool:
            for _ in pool.map(self.settle, self.left_behind()):
                pass
            while waiting := self.open_cases():
                groups = [waiting[start : start + GROUP] for start in range(0, len(waiting), GROUP)]
                for _ in pool.map(self.settle, groups):
                    pass
        self.single.close()
        self.journal.add(kind="end", pid=os.getpid())

    def open_cases(self) -> list[str]:
        """Return the cases that have no answer yet, shuffled."""
        answered = {line["case"] for line in self.journal.read() if line["kind"] == "done"}
        found = [case for case in map(case_name, range(SIGNALS)) if case not in answered]
        self.chance.shuffle(found)
        return found

    def left_behind(self) -> Iterator[dict[str, Any]]:
        """Yield what was posted and not settled, with what is left of it."""
        lines = self.journal.read()
        settled = {line["number"] for line in lines if line["kind"] in {"done", "failed"}}
        for line in lines:
            if line["kind"] == "post":
                left = [pair for pair in line["pairs"] if pair[0] not in settled]
                if left:
                    yield {**line, "pairs": left}

    def settle(self, work: Sequence[str] | dict[str, Any]) -> None:
        """Post cases or find what was posted, wait, and write down what came."""
        exchange = self.find(work) if isinstance(work, dict) else self.post(work)
        for result in exchange.results() if exchange else ():
            kind = "done" if result.status == "done" else "failed"
            text = result.artifact.decode()
            with self.lock:
                case = result.context.case_id
                self.journal.add(kind=kind, number=result.dispatch_id, case=case, text=text, error=result.error)

    def post(self, cases: Sequence[str]) -> Batch | Post:
        """Post cases, as a batch or as single signals."""
        asked = [Context(case, "triage", f"What is wrong with {case}?") for case in cases]
        exchange = self.batches.post(asked) if self.chance.random() < 0.7 else self.single.post(asked)
        batch = exchange.id if isinstance(exchange, Batch) else 0
        pairs = list(zip(exchange.numbers, cases, strict=True))
        self.journal.add(kind="post", pid=os.getpid(), batch=batch, pairs=pairs)
        return exchange

    def find(self, line: dict[str, Any]) -> Batch | Post | None:
        """Find what an earlier process posted."""
        numbers = [number for number, _ in line["pairs"]]
        asked = [Context(case, "triage", "") for _, case in line["pairs"]]
        batch = line["batch"]
        found = self.batches.find(batch, numbers, asked) if batch else self.single.find(numbers, asked)
        if found is None:
            self.journal.add(kind="not found", numbers=numbers)
        return found


class Acting:
    """An agent that takes up to three signals, and answers them in any order and sometimes in a bad way."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.chance = random.Random(seed)
        self.stop, self.diary = folder / "stop", Lines(folder / "diary")
        self.suite = Suite(folder / "suite")
        self.taker = Taker(self.suite, seed)

    def work(self) -> None:
        """Go on until the round says stop."""
        self.suite.make()
        while not self.stop.exists():
            taken = [found for _ in range(self.chance.randrange(1, 4)) if (found := self.taker.take(0.05))]
            for found in taken:
                self.diary.add(kind="taken", number=found.number)
            self.chance.shuffle(taken)
            for found in taken:
                time.sleep(self.chance.uniform(0, 0.02))
                self.answer(found)

    def answer(self, found: Found) -> None:
        """Answer as the chance wants."""
        way = self.chance.choices(
            [self.by_submit, self.renamed, self.in_place, self.by_another, self.half, self.too_late, self.twice],
            [30, 50, 8, 4, 3, 3, 4],
        )[0]
        with contextlib.suppress(StaleClaim):
            way(found)

    def data(self, found: Found) -> dict[str, Any]:
        """Return what proves whose answer it is."""
        return {"number": found.number, "case": found.signal.case_id, "by": os.getpid()}

    def text(self, found: Found) -> bytes:
        """Return an artifact."""
        return json.dumps({"dispatch_id": found.number, "data": self.data(found)}).encode()

    def by_submit(self, found: Found) -> None:
        """Answer by the library."""
        submit(found, self.data(found))

    def renamed(self, found: Found, text: bytes = b"") -> None:
        """Answer by a file that is renamed into place."""
        draft = self.suite.artifacts / f".{found.number}.{os.getpid()}.draft"
        draft.write_bytes(text or self.text(found))
        draft.rename(found.artifact)

    def in_place(self, found: Found) -> None:
        """Write the answer where it belongs, byte after byte."""
        with found.artifact.open("wb", buffering=0) as file:
            text = self.text(found)
            for start in range(0, len(text), 9):
                file.write(text[start : start + 9])

    def by_another(self, found: Found) -> None:
        """Publish the answer to another signal first."""
        wrong = {"dispatch_id": found.number + 1, "data": {"number": found.number + 1, "case": "wrong"}}
        self.renamed(found, json.dumps(wrong).encode())
        time.sleep(self.chance.uniform(0, 0.05))
        self.renamed(found)

    def half(self, found: Found) -> None:
        """Publish half an answer."""
        self.renamed(found, self.text(found)[:-4])

    def too_late(self, found: Found) -> None:
        """Publish when the signal has ended."""
        deadline = time.monotonic() + LATEST_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                if find_signal(self.suite, found.number).signal.status in ENDED:
                    break
            time.sleep(0.02)
        self.diary.add(kind="late", number=found.number)
        self.renamed(found)

    def twice(self, found: Found) -> None:
        """Answer by a file and then by the library."""
        self.renamed(found)
        submit(found, self.data(found))


def read_on(folder: Path, seed: str) -> None:
    """Read every document again and again until the round says stop, and write down what was torn."""
    chance, diary, suite = random.Random(seed), Lines(folder / "diary"), Suite(folder / "suite")
    counts: Counter[str] = Counter()
    while not (folder / "stop").exists():
        batches, signals = sorted(numbers_in(suite.batches)), sorted(numbers_in(suite.signals))
        for number in chance.sample(batches, min(len(batches), 5)):
            with _noting(diary, suite.manifest(number)):
                manifest = read_manifest(suite.manifest(number))
                schemas.check("batch_manifest", manifest.document(), "manifest")
                counts[manifest.status] += 1
                if not suite.briefing(number).read_text().endswith("yet.\n"):
                    diary.add(kind="torn", file=str(suite.briefing(number)))
        for number in chance.sample(signals, min(len(signals), 10)):
            with _noting(diary, suite.signal(number)):
                read_signal(suite.signal(number))
                counts["signals"] += 1
        time.sleep(0.005)
    diary.add(kind="read", counts=counts)


@contextlib.contextmanager
def _noting(diary: Lines, file: Path) -> Iterator[None]:
    """Write down what cannot be read although it is there."""
    try:
        yield
    except (DocumentInvalid, OSError, ValueError) as error:
        if file.exists() and "No such file" not in str(error):
            diary.add(kind="torn", file=str(file), why=str(error))
