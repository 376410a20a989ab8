"""Items through one command or agent: the dispatch owns them, each attempt has a folder, output goes to files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import statistics
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer.errors import Trouble
from trailblazer.paths import timestamp
from trailblazer.plain import one_line
from trailblazer.processes.children import Children, Ended, start_failure
from trailblazer.processes.spawning import environment_block
from trailblazer.providers.agents import Agent, Answer, Kind, read_answer
from trailblazer.providers.templates import Render
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Item, Outcome, Status
from trailblazer.schemas import check_shape, violations_in

TAIL_BYTES = 4096
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MOST_EXPECTED_BYTES = 64 << 20
FEW = 5  # fewer durations than this have no median to speak of


@dataclass(frozen=True, slots=True)
class Task:
    """What is done with each item. `words` are rendered into argv, `prompt` into stdin.

    The limit is in seconds, or a multiple of the median of those that succeeded; `log_cap` in bytes.
    """

    words: tuple[Render, ...]
    prompt: Render | None
    agent: Agent | None
    keeps_logs: bool
    log_cap: int
    limit_seconds: float | None
    limit_medians: float | None
    expects_json: bool
    expected_schema: str | None


class ItemsLane:
    """The four answers for items: the gate is the trial of the first, the dispatch owns its items."""

    def __init__(self, task: Task, record: Record, children: Children) -> None:
        self._task, self._record, self._children = task, record, children
        self._environment = environment_block({**os.environ, "TRACEPARENT": record.manifest["traceparent"]})
        self._durations: deque[float] = deque(maxlen=1000)
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._logs: dict[int, bool] = {}  # open logs, and whether they were cut
        self._lock = threading.Lock()

    def gate(self, item: Item) -> Outcome | None:  # noqa: ARG002 - other lanes look at the item
        """Refuse nothing: the first item's trial is the gate of them all."""
        return None

    def claim(self, item: Item) -> int | Outcome:
        """Return the next attempt's number; the dispatch owns its items.

        A batch that was killed may have left a folder whose attempt never came into the journal: it stays as it is.
        """
        number = self._record.attempts[item.index] + 1
        if self._record.manifest["resumes"]:
            while (self._record.folder / f"task_{item.index}" / f"attempt_{number}").exists():
                number += 1
        return number

    def give_back(self, item: Item, number: int, outcome: Outcome) -> None:
        """Nothing is held."""

    def look(self) -> None:
        """Cut logs that have grown past the cap: the head stays, and whoever appends goes on behind it."""
        with self._lock:
            for log in self._logs:
                if os.fstat(log).st_size > self._task.log_cap:
                    os.ftruncate(log, self._task.log_cap)
                    self._logs[log] = True

    def close(self) -> None:
        """Close what was opened once for all items."""
        os.close(self._null)

    def attempt(self, item: Item, number: int) -> Outcome:
        """Run the command for one item in a folder of its own; whatever goes wrong is that item's outcome."""
        task = f"{self._record.folder}/task_{item.index}"
        folder = f"{task}/attempt_{number}"
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(task, 0o700)  # noqa: PTH102 - paths as text: this is the hot path
            os.mkdir(folder, 0o700)  # noqa: PTH102
            return self._attempt_in(folder, item, number)
        except OSError as error:
            return Outcome(Status.ERROR, one_line(f"cannot keep a record of it: {error.strerror or error}", 300))

    def _attempt_in(self, folder: str, item: Item, number: int) -> Outcome:
        output_file = f"{folder}/output"
        values = {
            "item": item.body,
            "index": item.index,
            "task_id": f"task_{item.index}",
            "output_file": output_file,
            "prompt_file": f"{folder}/prompt.md",
            "attempt": number,
        }
        began = time.monotonic()
        started = timestamp()
        argv: list[str] = []
        ended: Ended | None = None
        try:
            argv = [render(values) for render in self._task.words]
            stdin = self._prompt(values)
            logs = self._open_logs(folder)
            try:
                ended = self._run(argv, stdin, logs, item, number)
                outcome = self._judge(ended, logs, output_file, began)
            finally:
                self._close_logs(logs, stdin)
        except OSError as error:
            outcome = Outcome(Status.ERROR, start_failure(error, argv[0]) if argv else str(error))
        except (Trouble, ValueError) as trouble:
            outcome = Outcome(Status.ERROR, one_line(str(trouble), 300))
        details = {
            **outcome.details,
            "folder": f"task_{item.index}/attempt_{number}",
            "duration_ms": round(1000 * (time.monotonic() - began), 1),
        }
        if ended is not None:
            details |= {"exit_code": ended.exit_code, "signal": ended.signal, "peak_memory_kib": ended.peak_memory_kib}
        outcome = Outcome(outcome.status, outcome.reason, outcome.refusal, {**details, "started": started})
        _write_result(folder, item, number, argv, outcome, ended)
        if outcome.status is Status.SUCCESS:
            self._durations.append(details["duration_ms"] / 1000)
        return outcome

    def _run(self, argv: list[str], stdin: int, logs: tuple[int, int], item: Item, number: int) -> Ended:
        child = self._children.start(
            argv,
            stdin=stdin,
            stdout=logs[0],
            stderr=logs[1],
            environment=self._environment,
            limit_seconds=self._limit(),
        )
        self._record.start(item, number, child.identity)
        return self._children.wait(child)

    def _limit(self) -> float | None:
        if self._task.limit_medians is None:
            return self._task.limit_seconds
        if len(self._durations) < FEW:
            return None
        return max(0.1, self._task.limit_medians * statistics.median(list(self._durations)))

    def _prompt(self, values: Mapping[str, Any]) -> int:
        """Return a descriptor of what the command reads: the rendered prompt, or nothing."""
        if self._task.prompt is None:
            return self._null
        file = values["prompt_file"]
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.write(handle, self._task.prompt(values).encode("utf-8", "surrogateescape"))
        os.lseek(handle, 0, os.SEEK_SET)
        return handle

    def _open_logs(self, folder: str) -> tuple[int, int]:
        if not self._task.keeps_logs:
            return self._null, self._null
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        logs = (os.open(f"{folder}/worker.stdout", flags, 0o600), os.open(f"{folder}/worker.stderr", flags, 0o600))
        with self._lock:
            self._logs.update(dict.fromkeys(logs, False))
        return logs

    def _close_logs(self, logs: tuple[int, int], stdin: int) -> None:
        with self._lock:
            for log in logs:
                self._logs.pop(log, None)
        for handle in {*logs, stdin} - {self._null}:
            os.close(handle)

    def _judge(self, ended: Ended, logs: tuple[int, int], output_file: str, began: float) -> Outcome:
        details: dict[str, Any] = {}
        sizes = [os.fstat(log).st_size for log in logs] if self._task.keeps_logs else [0, 0]
        tail = _last_line(logs[1], sizes[1]) or _last_line(logs[0], sizes[0])
        if max(sizes) > self._task.log_cap:
            self.look()
        if any(self._logs.get(log) for log in logs):
            details["truncated"] = True
        if ended.why == "timeout":
            return Outcome(Status.TIMEOUT, f"ended after {time.monotonic() - began:.1f} s", details=details)
        if ended.why:
            return Outcome(Status.CANCELLED, "ended before it was done", details=details)
        content, digest = _output(logs[0], min(sizes[0], self._task.log_cap), output_file)
        if digest:
            details["output_sha256"] = digest
        answer = Answer(Kind.OK)
        if self._task.agent:
            answer = read_answer(self._task.agent, content, b"", ended.exit_code, ended.signal)
        if answer.usage:
            details["usage"] = dict(answer.usage)
        if ended.signal is not None:
            return Outcome(Status.ERROR, _with(f"killed by signal {ended.signal}", tail), details=details)
        if ended.exit_code or answer.reason:
            said = answer.reason or tail
            return Outcome(Status.ERROR, _with(f"exit {ended.exit_code}", said), details=details)
        reason = self._unexpected(content, details)
        return Outcome(Status.ERROR if reason else Status.SUCCESS, reason, details=details)

    def _unexpected(self, content: bytes, details: dict[str, Any]) -> str:
        """Return why the output is not what was expected, and note the status that the output itself states."""
        if not self._task.expects_json:
            return ""
        try:
            document = json.loads(content)
        except ValueError as error:
            return one_line(f"the output is not JSON: {error}" if content else "there is no output", 300)
        if isinstance(document, dict) and isinstance(document.get("status"), str):
            details["domain_status"] = one_line(document["status"], 60)
        if self._task.expected_schema is not None:
            found = violations_in(self._task.expected_schema)(document)
            if found:
                return one_line(f"the output breaks its schema: {found[0]}", 300)
        return ""


def _output(stdout: int, size: int, output_file: str) -> tuple[bytes, str]:
    """Return what the command made (its output file, else its stdout) and the SHA-256, if it made anything."""
    try:
        with os.fdopen(os.open(output_file, _READ), "rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
            opened.seek(0)
            return opened.read(MOST_EXPECTED_BYTES), sha256
    except FileNotFoundError:
        pass
    except OSError as error:
        raise Trouble(f"the output file is no file that can be read: {error.strerror}") from error
    content = os.pread(stdout, min(size, MOST_EXPECTED_BYTES), 0) if size else b""
    return content, hashlib.sha256(content).hexdigest() if content else ""


def _with(what: str, said: str) -> str:
    return one_line(f"{what}: {said}" if said else what, 300)


def _last_line(log: int, size: int) -> str:
    """Return the last line of so many bytes that is not blank, plain and short."""
    if not size:
        return ""
    lines = os.pread(log, TAIL_BYTES, max(0, size - TAIL_BYTES)).decode("utf-8", "replace").split("\n")
    return next((one_line(line, 200) for line in reversed(lines) if line.strip()), "")


def _write_result(folder: str, item: Item, number: int, argv: list[str], outcome: Outcome, ended: Ended | None) -> None:
    """Write result.json, whole or absent; the journal line that follows is what counts and is made durable."""
    result = {
        "task_id": f"task_{item.index}",
        "index": item.index,
        "item": item.id,
        "attempt": number,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "command": argv,
        "user_seconds": ended.user_seconds if ended else None,
        "system_seconds": ended.system_seconds if ended else None,
        **outcome.details,
    }
    check_shape("item_result", result, folder)
    draft = f"{folder}/.result.json.tmp"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, json.dumps(result).encode())
    finally:
        os.close(handle)
    os.replace(draft, f"{folder}/result.json")  # noqa: PTH105 - paths as text: this is the hot path


def first_words(folder: Path, index: int, number: int, most: int) -> str:
    """Return the beginning of what an attempt made, for a person to judge."""
    attempt = folder / f"task_{index}" / f"attempt_{number}"
    for name in ("output", "worker.stdout", "worker.stderr"):
        file = attempt / name
        if file.is_file() and not file.is_symlink() and file.stat().st_size:
            with file.open("rb") as opened:
                return one_line(opened.read(8 * most).decode("utf-8", "replace"), most)
    return "(no output)"
