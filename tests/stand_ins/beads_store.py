"""Where the stand-in for bd keeps its issues: a SQLite file, so that its callers are locked out as those of bd are."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path

TYPE_CHECKING = False  # a call must be quick: the imports below take longer than its work
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

EMPTY: dict[str, Any] = {
    "title": "",
    "description": "",
    "status": "open",
    "priority": 2,
    "issue_type": "task",
    "assignee": "",
    "labels": [],
    "dependencies": [],
    "metadata": {},
}
TABLE = "CREATE TABLE IF NOT EXISTS issues (id TEXT PRIMARY KEY, record TEXT NOT NULL)"
FILE = "stand_in.db"


def find_folder() -> Path | None:
    """Return the folder of the tracker: BEADS_DIR, or the first .beads from the working folder upwards."""
    named = os.environ.get("BEADS_DIR")
    places = [Path(named)] if named else [above / ".beads" for above in (Path.cwd(), *Path.cwd().parents)]
    return next((place for place in places if (place / FILE).exists()), None)


class Store:
    """The issues of one tracker, in the order in which they were made."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        if folder is not None:
            self._rows = sqlite3.connect(folder / FILE, timeout=30, isolation_level=None)
            self._rows.execute("PRAGMA synchronous=OFF")

    def all(self) -> list[dict[str, Any]]:
        """Return every issue."""
        return [json.loads(row[0]) for row in self._rows.execute("SELECT record FROM issues ORDER BY rowid")]

    def ids(self) -> list[str]:
        """Return the id of every issue."""
        return [row[0] for row in self._rows.execute("SELECT id FROM issues ORDER BY rowid")]

    def has(self, issue_id: str) -> bool:
        """Say whether there is an issue of this id."""
        return self._rows.execute("SELECT 1 FROM issues WHERE id = ?", (issue_id,)).fetchone() is not None

    def get(self, issue_id: str) -> dict[str, Any]:
        """Return one issue."""
        found: dict[str, Any] = json.loads(
            self._rows.execute("SELECT record FROM issues WHERE id = ?", (issue_id,)).fetchone()[0]
        )
        return found

    @contextlib.contextmanager
    def changing(self, issue_id: str) -> Iterator[dict[str, Any]]:
        """Yield an issue under the lock of the file; what was changed in it is written, unless something is raised."""
        self._rows.execute("BEGIN IMMEDIATE")
        try:
            row = self._rows.execute("SELECT record FROM issues WHERE id = ?", (issue_id,)).fetchone()
            issue: dict[str, Any] = json.loads(row[0]) if row else {}
            yield issue
            self._rows.execute("UPDATE issues SET record = ? WHERE id = ?", (json.dumps(issue), issue_id))
            self._rows.execute("COMMIT")
        except BaseException:
            self._rows.execute("ROLLBACK")
            raise

    def add(self, issues: Iterable[dict[str, Any]]) -> None:
        """Add issues; what they do not say is as in EMPTY."""
        rows = [(issue["id"], json.dumps({"id": issue["id"], **EMPTY, **issue})) for issue in issues]
        self._rows.execute("BEGIN IMMEDIATE")
        self._rows.executemany("INSERT INTO issues VALUES (?, ?)", rows)
        self._rows.execute("COMMIT")

    def delete(self, issue_id: str) -> None:
        """Delete an issue."""
        self._rows.execute("DELETE FROM issues WHERE id = ?", (issue_id,))

    def note(self, argv: list[str], actor: str) -> None:
        """Add the words of a call and its actor to the list of calls."""
        if self.folder is not None:
            line = json.dumps({"words": argv, "actor": actor, "pid": os.getpid()}) + "\n"
            handle = os.open(self.folder / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(handle, line.encode())
            os.close(handle)


def make_store(folder: Path, issues: Iterable[dict[str, Any]] = ()) -> Store:
    """Make the tracker of a folder, FOLDER/.beads, with some issues."""
    beads = folder / ".beads"
    beads.mkdir(parents=True)
    with sqlite3.connect(beads / FILE) as made:
        made.execute(TABLE)
    made.close()
    store = Store(beads)
    store.add(issues)
    return store
