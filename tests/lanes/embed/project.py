"""A project of its own for a test, and the real programs run in it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

LIMIT = 60.0
TRAILBLAZER = [sys.executable, "-m", "trailblazer"]
STOCK = ("alpha", "bravo", "charlie", "delta")
DOCUMENTS = 6


def words_of(said: str) -> list[str]:
    """Return the lines for people; where there is no terminal, what happens while items run begins with its date."""
    return [re.sub(r"^\d{4}-\d\d-\d\dT[\d:.]+Z (?=\S)", "", line) for line in said.splitlines()]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program came to."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def where(self) -> str:
        """The last word of a program that prints a path or an id and nothing else."""
        return self.out.strip()


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a configuration, runs under var/ and a database of its own."""

    folder: Path
    dsn: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def var(self) -> Path:
        """Where all state and output is."""
        return self.folder / "var"

    @property
    def dispatches(self) -> list[Path]:
        """The dispatch folders that have a manifest, oldest first: those of one second by their number."""
        found = (self.var / "logs" / "dispatch").glob("2*/dispatch_manifest.json")
        return sorted(
            (file.parent for file in found),
            key=lambda folder: (folder.name[:16], int(folder.name.partition("-")[2] or 1)),
        )

    @property
    def dispatch(self) -> Path:
        """The newest dispatch folder."""
        return self.dispatches[-1]

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the newest dispatch."""
        return read_json(self.dispatch / "dispatch_manifest.json")

    @property
    def journal(self) -> list[dict[str, Any]]:
        """The whole lines of the newest journal; nothing while there is no dispatch."""
        if not self.dispatches or not (self.dispatch / "journal.ndjson").is_file():
            return []
        lines = (self.dispatch / "journal.ndjson").read_bytes().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    @property
    def statuses(self) -> dict[str, str]:
        """The newest outcome of each run in the newest journal."""
        return {line["item"]: line["status"] for line in self.journal if line["kind"] == "settle"}

    @property
    def reasons(self) -> dict[str, str]:
        """The reason of each run's newest outcome in the newest journal."""
        return {line["item"]: line["reason"] for line in self.journal if line["kind"] == "settle"}

    def run_folder(self, rid: str) -> Path:
        """The folder of a run."""
        return self.var / "runs" / rid

    def settings(self, **more: str) -> dict[str, str]:
        """The environment of a program; `more` names settings in small letters, or variables in capitals."""
        known = {name: value for name, value in os.environ.items() if not name.startswith(("TRAILBLAZER_", "PG"))}
        known |= {"TRAILBLAZER_DB_URL": self.dsn, **self.environment}
        return known | {
            (name if name.isupper() else f"TRAILBLAZER_{name.upper()}"): value for name, value in more.items()
        }

    def run(self, *words: str, **settings: str) -> Finished:
        """Run trailblazer to its end."""
        done = subprocess.run(
            [*TRAILBLAZER, *words],
            cwd=self.folder,
            env=self.settings(**settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *words: str, before: tuple[str, ...] = (), **settings: str) -> Iterator[subprocess.Popen[str]]:
        """Run trailblazer beside the block, in a session of its own; what of it is left at the end is killed."""
        with subprocess.Popen(
            [*before, *TRAILBLAZER, *words],
            cwd=self.folder,
            env=self.settings(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def write_plan(self, *lines: str, name: str = "list.txt") -> Path:
        """Write a plan file."""
        file = self.folder / name
        file.write_text("".join(line + "\n" for line in lines))
        return file

    def bundle(self, *rids: str) -> Path:
        """Make a bundle over all runs, or over some, with the real program."""
        words = [str(self.write_plan(*rids, name="wanted.txt"))] if rids else []
        return Path(self.run("embed", "plan-preflight", *words).where)

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a statement in the project's database."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def vectors(self) -> dict[str, list[str]]:
        """The chunk ids that have vectors, by run."""
        rows = self.query("SELECT run_id, chunk_id FROM chunk_embeddings ORDER BY 1, 2")
        found: dict[str, list[str]] = {}
        for rid, chunk in rows:
            found.setdefault(rid, []).append(chunk)
        return found

    def chunks(self, rid: str) -> list[str]:
        """The chunk ids in a run's folder, sorted."""
        lines = (self.run_folder(rid) / "chunk" / "chunks.ndjson").read_text().splitlines()
        return sorted(json.loads(line)["chunk_id"] for line in lines)

    def workers(self) -> list[int]:
        """The worker processes of the newest dispatch that live."""
        return sorted({line["handle"]["pid"] for line in self.journal if line["kind"] == "begun"} & _alive())


def _alive() -> set[int]:
    return {int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()}


def read_json(file: Path) -> dict[str, Any]:
    """Return a JSON document."""
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def wait_for(is_so: Callable[[], object], what: str, limit: float = LIMIT) -> None:
    """Return when something has become so; fail when that takes too long."""
    deadline = time.monotonic() + limit
    while not is_so():
        assert time.monotonic() < deadline, f"still not so after {limit:g} s: {what}"
        time.sleep(0.005)


def write_documents(folder: Path, rid: str, texts: list[str]) -> None:
    """Write a run's normalized.ndjson by hand, a document a text."""
    target = folder / "var" / "runs" / rid / "normalize" / "normalized.ndjson"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"id": f"{rid}-{number}", "title": f"Page {number}", "text_md": text})
        for number, text in enumerate(texts)
    ]
    target.write_text("".join(line + "\n" for line in lines))


def texts_of(rid: str, count: int = DOCUMENTS) -> list[str]:
    """Return the texts of a run: short, so that each becomes one chunk."""
    return [f"The {rid} page {number} tells how the valve {number} is opened and closed." for number in range(count)]


def says_one_thing(finished: Finished) -> bool:
    """Say whether stderr is one line and a hint below it, and no traceback."""
    lines = finished.err.splitlines()
    hints = [line for line in lines[1:] if line.startswith("  ")]
    return "Traceback" not in finished.err + finished.out and len(lines) > 1 and len(hints) == len(lines) - 1
