"""Events for machines (NDJSON to files and stdout) and words for people (stderr), never mixed."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import orjson

from trailblazer.atomic import make_folder, write_all
from trailblazer.errors import StorageTrouble, storage_trouble
from trailblazer.paths import stamp, timestamp
from trailblazer.plain import one_line
from trailblazer.streams import is_hushed, put_out, tell

EVENTS = frozenset(
    {
        *("dispatch.start", "dispatch.progress", "dispatch.complete"),
        *("runs.start", "runs.settle", "runs.progress", "runs.complete", "runs.claim"),
        *("runs.scan.start", "runs.scan.complete", "runs.reset.start", "runs.reset.complete"),
        *("runs.backfill.start", "runs.backfill.tick", "runs.backfill.complete"),
        *("items.start", "items.settle", "providers.switch"),
        *("issues.start", "issues.settle"),
        *("signals.start", "signals.settle", "signals.change"),
    }
)
LARGEST_FILE = 512 << 20


class Emitter:
    """Writes one event a line, each with ts, seq, run_id, phase, component, pid and level, to a file and to stdout.

    stdout gets a copy where it was asked for. When it takes no more (read by nobody, on a full disk) `lost` says why,
    and the file goes on.
    """

    def __init__(
        self, component: str, phase: str, file: Path | None, *, to_stdout: bool = False, **always: Any
    ) -> None:
        self._always = {"phase": phase, "component": component, "pid": os.getpid(), **always}
        self._lock = threading.Lock()
        self._seq = 0
        self._to_stdout = to_stdout
        self.lost = ""
        self._handle: int | None = None
        if file is not None:
            make_folder(file.parent)
            try:
                self._handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise storage_trouble(error, "open") from error

    def emit(self, event: str, action: str, *, level: str = "info", run_id: str | None = None, **more: Any) -> None:
        """Write one event: its name (noun.verb), its action (start, tick, complete, error…) and what belongs to it.

        A name that is not in EVENTS is a ValueError.
        """
        if event not in EVENTS:
            raise ValueError(f"{event} is not an event")
        if "msg" in more:
            more["msg"] = one_line(str(more["msg"]))
        with self._lock:
            self._seq += 1
            record = {
                "ts": timestamp(),
                "v": 1,
                "seq": self._seq,
                "run_id": run_id,
                "level": level,
                "event": event,
                "action": action,
                "worker_id": None,
                **self._always,
                **more,
            }
            line = _encode(record)
            if self._handle is not None:
                try:
                    write_all(self._handle, line)
                except OSError as error:
                    raise storage_trouble(error, "write an event") from error
            if self._to_stdout:
                try:
                    put_out(line.decode())
                except StorageTrouble as trouble:
                    self._to_stdout, self.lost = False, trouble.what

    def close(self) -> None:
        """Close the file; an emitter that is closed writes no more."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _encode(record: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, as the name of a file may hold
        return json.dumps(record).encode() + b"\n"


def runs_events(logs: Path, phase: str, *, to_stdout: bool) -> Emitter:
    """Return the emitter of what is done to the table of runs: var/logs/runs_events.ndjson.

    A file that has grown to 512 MiB is put aside under the moment's name, for `trailblazer logs prune`.
    """
    file = logs / "runs_events.ndjson"
    try:
        if file.stat().st_size >= LARGEST_FILE:
            # Two that see this at once must not put the one's file in the place of the other's.
            file.replace(file.with_name(f"runs_events.{stamp()}.{os.urandom(4).hex()}.ndjson"))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise storage_trouble(error, "rotate") from error
    return Emitter("runs", phase, file, to_stdout=to_stdout)


def can_draw(stream: Any) -> bool:
    """Say whether a view can be drawn on a stream: a terminal that is not dumb. NO_COLOR only takes its colour."""
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def is_colourful(stream: Any) -> bool:
    """Say whether a stream may carry colour: a terminal, NO_COLOR unset, TERM not dumb."""
    return can_draw(stream) and not os.environ.get("NO_COLOR")


_COLOURS = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "": ""}


class Console:
    """Single lines for people: to stderr, coloured on a terminal only, and to a log file without colour.

    One that is `dated` begins each line with the moment, unless it is for a terminal.
    """

    def __init__(self, log: Path | None = None, *, dated: bool = False) -> None:
        self._is_dated = dated and not sys.stderr.isatty()
        self._colourful = is_colourful(sys.stderr)
        self._log = log
        self._handle: int | None = None
        self.out = tell  # prints; a live view takes its place while it is drawn

    def log(self, line: str) -> None:
        """Write one line into the log alone. A log that cannot be written is said once: the journal has the facts."""
        if self._log is None:
            return
        try:
            if self._handle is None:
                make_folder(self._log.parent)
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                self._handle = os.open(self._log, flags, 0o600)
            write_all(self._handle, f"{timestamp()} {one_line(line, 2000)}\n".encode())
        except (OSError, StorageTrouble) as error:
            log, self._log = self._log, None
            why = error.strerror if isinstance(error, OSError) else error
            tell(f"Warning: {log} is not written any more: {why}\n")

    def say(self, line: str, colour: str = "", *, is_form: bool = False) -> None:
        """Say one line; what it holds from outside is made plain. One whose form is fixed (P3) has no date."""
        line = one_line(line, 2000)
        self.log(line)
        if self._is_dated and not is_form:
            line = f"{timestamp()} {line}"
        if not is_hushed():
            code = _COLOURS[colour] if self._colourful else ""
            self.out(f"\033[{code}m{line}\033[0m\n" if code else f"{line}\n")
