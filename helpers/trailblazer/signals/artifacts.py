"""Reads what an agent left as its answer. It may be anything: every way in which it can be wrong has a reason."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.atomic import read_regular
from trailblazer.plain import one_line

MOST_BYTES = 16 << 20
NO_REASON = "the agent named no reason"


@dataclass(frozen=True, slots=True)
class Artifact:
    """An answer as it was written (`text`), and what it says: data, or an error of the agent; `usage` may be empty."""

    text: bytes
    data: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bad:
    """What lies in the place of an artifact is none. `may_grow`: a writer may be in the middle of it."""

    reason: str
    may_grow: bool = False
    is_of_another: bool = False
    version: tuple[int, ...] = ()


def read_artifact(file: Path | str, dispatch_id: int | None) -> Artifact | Bad | None:
    """Return the answer to a signal (None: to any), why what is there is none, or None while there is nothing.

    Links are not followed, only a regular file is opened, and at most MOST_BYTES are read.
    """
    try:
        found = os.lstat(file)
        version = (found.st_ino, found.st_size, found.st_mtime_ns)
        if not stat.S_ISREG(found.st_mode):
            return Bad(f"it is {_kind(found.st_mode)}, not a regular file", version=version)
        text = read_regular(file, MOST_BYTES, follow_links=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Bad(f"it cannot be read: {error.strerror}", may_grow=error.errno == errno.EACCES, version=())
    try:
        document = schemas.parse_json(text, is_finite=True)
    except ValueError as error:
        return Bad(f"it is not JSON: {one_line(str(error), 200)}", may_grow=True, version=version)
    said = document.get("dispatch_id") if isinstance(document, dict) else None
    if dispatch_id is not None and _is_number(said) and said != dispatch_id:
        why = one_line(f"its dispatch_id is {said}", 100)
        return Bad(f"{why}, not {dispatch_id}", is_of_another=True, version=version)
    if broken := schemas.violations_in("signal_artifact")(document):
        return Bad(f"it is no artifact: {broken[0]}", version=version)
    reason = one_line(document.get("error", ""), 300) or ("" if "data" in document else NO_REASON)
    return Artifact(text, document.get("data", {}), reason, document.get("usage", {}))


def _is_number(said: Any) -> bool:
    """Say whether a value is a number in JSON: there 12.0 and 12 are the same."""
    return isinstance(said, (int, float)) and not isinstance(said, bool)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
