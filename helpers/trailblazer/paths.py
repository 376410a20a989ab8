"""Where everything lives, and which names may become part of a path."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trailblazer.errors import WordsWrong

CONFIG_NAME = "config/.trailblazer.yaml"
CONFIGURED_PATHS = (  # settings that are a path, several by name, or a command, whose first word may be a path
    "paths.var", "tracker.source", "tracker.folder", "tracker.command", "tracker.release_command", "nightly.prompt",
    "nightly.repos", "nightly.setup", "gates.has_open_change", "gates.open_changes", "cron.on_failure",
    "cron.on_success",
)  # fmt: skip
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+=-]{0,199}")
_IDS = re.compile(rf"(?:(?:{_ID.pattern})?\n)*+(?:{_ID.pattern})?")
_STAMP = re.compile(r"(\d{8})[T_](\d{6})Z?(?:-\d+)?")


def expanded(text: str) -> str:
    """Return a path of a person with the home folder in the place of a leading `~`; one of nobody stays as it is."""
    return os.path.expanduser(text) if text.startswith("~") else text  # noqa: PTH111 - a Path refuses nobody's home


def at_home(value: Any) -> Any:
    """Return a configured path, paths by name, or a command, with the home folder in the place of a leading `~`."""
    if isinstance(value, Mapping):
        return {name: expanded(path) for name, path in value.items()}
    if isinstance(value, list):
        return [*map(expanded, value[:1]), *value[1:]]
    return expanded(value) if isinstance(value, str) else value


def is_id(name: str) -> bool:
    """Say whether a name is safe as a folder's name and as an argument: no slash, no `..`, no leading dash."""
    return bool(_ID.fullmatch(name)) and ".." not in name


def are_ids(lines: str) -> bool:
    """Say whether each line of a text is empty or an id, as is_id has it, in one go: a plan may hold a million."""
    return bool(_IDS.fullmatch(lines)) and ".." not in lines


def check_id(name: str, kind: str = "run id") -> str:
    """Return the name, or refuse one that could lead out of its folder or be taken for a flag (exit 2)."""
    if not is_id(name):
        raise WordsWrong(
            f"{name!r} is not a {kind}",
            "Use letters, digits and . _ @ + = - (at most 200, no '/', no '..', no leading dash).",
        )
    return name


def stamp(moment: datetime | None = None) -> str:
    """Return a moment (now, unless given) as a folder's name: 20261120T223000Z, always UTC."""
    return (moment or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")


def read_stamp(name: str) -> datetime | None:
    """Return the moment a folder's name stands for, in today's or the older spelling, or None."""
    found = _STAMP.fullmatch(name)
    if not found:
        return None
    try:
        return datetime.fromisoformat("T".join(found.groups())).replace(tzinfo=UTC)
    except ValueError:
        return None


def timestamp() -> str:
    """Return the present moment as documents and events write it: 2026-11-20T22:30:00.123Z."""
    return _to_the_millisecond(time.time_ns() // 1_000_000)


@functools.lru_cache(2)
def _to_the_millisecond(milliseconds: int) -> str:
    return f"{_to_the_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


def timestamp_of(moment: float) -> str:
    """Return a moment (epoch seconds) as documents and events write it, to the second."""
    return f"{_to_the_second(int(moment))}Z"


@functools.lru_cache(2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one project: its root (where config/ stands) and its var/ (all state and output)."""

    root: Path
    var: Path

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        return self.var / "runs"

    @property
    def bundles(self) -> Path:
        """The folder of all plan-preflight bundles."""
        return self.var / "plan_preflight"

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.var / "logs"

    @property
    def dispatches(self) -> Path:
        """The folder of all dispatch folders."""
        return self.logs / "dispatch"

    @property
    def reports(self) -> Path:
        """The folder of the pages that `trailblazer report` makes."""
        return self.logs / "reports"

    def run(self, rid: str) -> Path:
        """Return the folder of one run; a run id that is no id is refused."""
        return self.runs / check_id(rid)


def find_root(start: Path) -> Path | None:
    """Return the nearest folder from `start` upwards that holds config/.trailblazer.yaml, or None."""
    return next((folder for folder in (start, *start.parents) if (folder / CONFIG_NAME).is_file()), None)
