"""Projects with a tracker: the stand-in for bd in one of its versions, or a file of issues."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from repo.tree import CHECKOUT
from stand_ins.beads_store import Store, make_store
from trailblazer.config import load_config
from trailblazer.lanes.issues.holder import Holder, is_dead, own_holder
from trailblazer.lanes.issues.opening import open_tracker
from trailblazer.lanes.issues.tracker import IsOver, Tracker
from trailblazer.paths import CONFIG_NAME

BD = CHECKOUT / "tests" / "stand_ins" / "bd"
OLD, ATOMIC, NEW = "0.49.0", "0.57.0", "1.3.0"
VERSIONS = (OLD, ATOMIC, NEW)
OURS = own_holder("20261121T031700Z")
THREE = ({"id": "bd-1", "title": "One"}, {"id": "bd-12", "title": "Twelve"}, {"id": "bd-2", "title": "Two"})


def dead_holder(dispatch: str = "20261120T031700Z") -> str:
    """Return the name of a holder on this host whose process has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    own = own_holder(dispatch)
    identity = own.partition("~")[2].partition(".")[2]
    host = own.partition("@")[2].partition("/")[0]
    return f"trailblazer@{host}/{ended.pid}#{dispatch}~1.{identity}"


def foreign_holder() -> str:
    """Return the name of a holder on another host."""
    return str(Holder("elsewhere", 4242, "20261120T031700Z", 17, "0123abcd", "4026531836"))


class Project:
    """A project with a configuration, and its tracker."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        (folder / CONFIG_NAME).parent.mkdir(parents=True)
        self.configure(**settings)

    def configure(self, **settings: Any) -> None:
        """Write the section `tracker` of the configuration."""
        (self.folder / CONFIG_NAME).write_text(json.dumps({"tracker": settings}))

    def open(self, is_over: IsOver = is_dead) -> Tracker:
        """Return the tracker that the configuration names."""
        return open_tracker(load_config(start=self.folder), is_over)


class BdProject(Project):
    """A project with the stand-in for bd."""

    def __init__(self, folder: Path, version: str = NEW, issues: Iterable[dict[str, Any]] = THREE) -> None:
        self.settings: dict[str, Any] = {"command": [sys.executable, "-S", str(BD)], "timeout_seconds": 60}
        super().__init__(folder, self.settings)
        self.store: Store = make_store(folder, issues)
        self.beads = folder / ".beads"
        (self.beads / "version").write_text(version)

    def fault(self, *faults: str) -> None:
        """Switch faults of the stand-in on, and all others off."""
        (self.beads / "faults").write_text("\n".join(faults))

    def calls(self) -> list[str]:
        """Return the words of the calls so far, without those of the version and of help."""
        lines = (self.beads / "calls").read_text().splitlines()
        called = [" ".join(json.loads(line)["words"]) for line in lines]
        return [words for words in called if "--help" not in words and "--version" not in words]

    def assign(self, issue_id: str, name: str, status: str = "in_progress") -> None:
        """Give an issue to somebody."""
        with self.store.changing(issue_id) as issue:
            issue.update(assignee=name, status=status)

    def change(self, issue_id: str, **fields: Any) -> None:
        """Change fields of an issue."""
        with self.store.changing(issue_id) as issue:
            issue.update(fields)


class FileProject(Project):
    """A project whose tracker is a file."""

    def __init__(self, folder: Path, issues: Any = THREE, name: str = "issues.json") -> None:
        super().__init__(folder, {"source": name})
        self.file = folder / name
        self.write(issues if isinstance(issues, dict) else list(issues))

    def write(self, document: Any) -> None:
        """Write the file of issues anew."""
        self.file.write_text(json.dumps(document))
        os.utime(self.file, ns=(self.file.stat().st_atime_ns, self.file.stat().st_mtime_ns + 1))
