"""Follows a journal line by line; what it keeps does not grow with the lines but by some bytes an item."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from trailblazer.record.admission import To
from trailblazer.record.journal import line_of
from trailblazer.record.outcomes import FAILED, GOOD, Status
from trailblazer.record.tallies import Tallies
from trailblazer.reports.audience import clock_time
from trailblazer.reports.course.causes import Causes
from trailblazer.reports.course.clock import Clock
from trailblazer.reports.course.columns import Columns
from trailblazer.reports.course.model import Event, Limit, Process, Silence, Try
from trailblazer.reports.course.rows import cost_of
from trailblazer.reports.course.slots import Slots

CODES: dict[str, int] = {status.value: code for code, status in enumerate(Status, start=1)}
GOOD_CODES = frozenset(CODES[status] for status in GOOD)
FAILED_CODES = frozenset(CODES[status] for status in FAILED)
MOST_RETRIED, MOST_TRIES = 150, 12
FIRST_EVENTS, LAST_EVENTS, MOST_SWITCHES, MOST_LIMITS = 100, 200, 200, 5_000
_COMMON = frozenset({"kind", "at", "prev", "item", "index"})


class Following:
    """The state of a dispatch by the lines so far. A line that no dispatch writes is a LookupError or ValueError."""

    def __init__(self) -> None:
        self.clock, self.columns = Clock(), Columns()
        self.slots, self.tallies = Slots(self.columns), Tallies()
        self.lines: Counter[str] = Counter()
        self.usage: Counter[str] = Counter()
        self.wasted: Counter[str] = Counter()
        self.processes: list[Process] = []
        self.tries_of: dict[int, list[Try]] = {}
        self.names: dict[int, str] = {}
        self.retried_in_all = 0
        self.switches: deque[Event] = deque(maxlen=MOST_SWITCHES)
        self.first: list[Event] = []
        self.last: deque[Event] = deque(maxlen=LAST_EVENTS)
        self.events = 0
        self.silence = Silence()
        self.last_at = ""
        self.quiet, self.quiet_at = 0.0, ""
        self._waiting: float | None = None
        self.limits: list[Limit] = []
        self.planned = 0
        self.codes, self.attempts, self._is_retried = bytearray(), array("H"), bytearray()
        self.places, self.seconds, self.causes = array("q"), array("f"), Causes()
        self._rare: dict[str, Callable[[Mapping[str, Any], float], None]] = {
            "open": self._open, "resume": self._resume, "retry": self._retry, "again": self._retry,
            "switch": self._switch, "steer": self._steer, "left": self._leave, "close": self._close,
        }  # fmt: skip

    def _grow(self, planned: int) -> None:
        """Take in that the plan has so many items now. A plan never shrinks."""
        more = max(0, planned - self.planned)
        self.codes.extend(bytes(more))
        self._is_retried.extend(bytes(more))
        self.attempts.extend(array("H", bytes(2 * more)))
        self.places.extend(array("q", [-1]) * more)
        self.seconds.extend(array("f", [-1.0]) * more)
        self.causes.grow(more)
        self.planned += more

    def follow(self, place: int, line: dict[str, Any]) -> None:
        """Take in one line, which begins at the byte `place`."""
        kind, at = line["kind"], line["at"]
        self.lines[kind] += 1
        self.last_at = at
        if kind == "begun":
            return
        if kind == "start":
            self._start(line, self.clock.moment(at), at)
        elif kind == "settle":
            self._settle(line, self.clock.moment(at), at, place)
        else:
            gap = self.clock.resume(at) if kind == "resume" else 0.0
            moment = self.clock.moment(at)
            if kind == "resume":
                self.processes.append(Process(at, line.get("host", ""), line.get("pid", 0), gap, moment))
            self._grow(line.get("planned", 0))
            act = self._rare.get(kind)
            if act is not None:
                act(line, moment)
            self._keep(line, moment)

    def _start(self, line: Mapping[str, Any], moment: float, at: str) -> None:
        index, attempt = line["index"], line["attempt"]
        if not self.slots.open:
            self.quiet, self.quiet_at = moment, at
        if self.codes[index] in FAILED_CODES:  # a resume tries it again
            self._note_try(index, line["item"], Try(attempt - 1, *self.causes.of(index)))
        self.attempts[index] = min(65_535, self.attempts[index] + 1)
        self.slots.begin(index, line["item"], attempt, moment, at)

    def _end(self, index: int, moment: float, at: str, status: str) -> float | None:
        if self.slots.open and moment - self.quiet > self.silence.seconds:
            items = tuple(one.item for one in list(self.slots.open.values())[:3])
            self.silence = Silence(moment - self.quiet, self.quiet_at, items)
        self.quiet, self.quiet_at = moment, at
        return self.slots.end(index, moment, status)

    def _settle(self, line: dict[str, Any], moment: float, at: str, place: int) -> None:
        index, status = line["index"], line["status"]
        code, earlier = CODES[status], self.codes[index]
        took = self._end(index, moment, at, status)
        milliseconds = line.get("duration_ms")
        if milliseconds:
            self.seconds[index] = milliseconds / 1000
        elif took is not None:
            self.seconds[index] = took
        self.codes[index], self.places[index] = code, place
        if not earlier:
            self.columns.count("settled", moment)
        if code in FAILED_CODES:
            self.columns.count("failed", moment)
        if code not in GOOD_CODES:
            self.causes.note(index, status, line["reason"])
            self._keep(line, moment)
        elif earlier:
            self.causes.note(index, status, "")
        if usage := line.get("usage"):
            self._spend(usage, is_wasted=code not in GOOD_CODES, moment=moment)
        if "provider" in line:
            self.tallies.follow(line_of({name: value for name, value in line.items() if name != "prev"}))

    def _spend(self, usage: Mapping[str, float], moment: float, *, is_wasted: bool) -> None:
        for name, amount in usage.items():
            self.usage[name] += amount  # type: ignore[assignment]
            if is_wasted:
                self.wasted[name] += amount  # type: ignore[assignment]
        if cost := cost_of(usage):
            self.columns.count("cost", moment, cost)

    def _note_try(self, index: int, item: str, one: Try) -> None:
        if not self._is_retried[index]:
            self._is_retried[index] = 1
            self.retried_in_all += 1
            if len(self.tries_of) < MOST_RETRIED:
                self.names[index], self.tries_of[index] = item, []
        if len(self.tries_of.get(index, ())) < MOST_TRIES and index in self.tries_of:
            self.tries_of[index].append(one)

    def _retry(self, line: Mapping[str, Any], moment: float) -> None:
        status = line.get("status", "again") if line["kind"] == "retry" else "again"
        self._end(line["index"], moment, line["at"], "error" if line["kind"] == "retry" else "cancelled")
        usage, provider = line.get("usage", {}), line.get("provider", "")
        self._spend(usage, is_wasted=True, moment=moment)
        one = Try(line["attempt"], status, line["reason"], provider, cost_of(usage) or 0.0)
        self._note_try(line["index"], line["item"], one)
        self._tally(line)

    def _tally(self, line: Mapping[str, Any]) -> None:
        self.tallies.follow(line_of({name: value for name, value in line.items() if name != "prev"}))

    def _open(self, line: Mapping[str, Any], moment: float) -> None:
        self.processes.append(Process(line["at"], line.get("host", ""), line.get("pid", 0), moment=moment))

    def _resume(self, line: Mapping[str, Any], moment: float) -> None:
        self.slots.end_all(moment, "cancelled")
        self._waiting = None
        self.limits += [Limit(moment, "workers", 0), Limit(moment, "found", 0)]
        self._tally(line)

    def _close(self, line: Mapping[str, Any], moment: float) -> None:
        self.slots.end_all(moment, "cancelled")
        self.end_wait()
        self._tally(line)

    def _leave(self, line: Mapping[str, Any], moment: float) -> None:
        self.slots.end(line["index"], moment, "left")

    def _switch(self, line: Mapping[str, Any], moment: float) -> None:
        self._tally(line)
        if line["to"] == To.WAITING and self._waiting is None:
            self._waiting = moment
        elif line["to"] == To.WAITED:
            self.end_wait()
        elif line["to"] == To.LIMITED and len(self.limits) < MOST_LIMITS:
            self.limits.append(Limit(moment, "found", line["slots"]))

    def _steer(self, line: Mapping[str, Any], moment: float) -> None:
        if line["action"] == "workers" and len(self.limits) < MOST_LIMITS:
            self.limits.append(Limit(moment, "workers", int(line["word"])))

    def end_wait(self) -> None:
        """Take in that nobody is waited for any more; at the end of a journal, for now."""
        if self._waiting is not None:
            self.columns.spread(self._waiting, self.clock.now, "waited")
            self._waiting = None

    def _keep(self, line: Mapping[str, Any], moment: float) -> None:
        event = Event(line["at"], moment, line["kind"], line.get("item") or "", _words(line))
        self.events += 1
        if line["kind"] == "switch":
            self.switches.append(event)
        if len(self.first) < FIRST_EVENTS:
            self.first.append(event)
        else:
            self.last.append(event)


def _words(line: Mapping[str, Any]) -> str:
    """Return what a line says beside its item; a kind of line that is not known here is said field by field."""
    match line["kind"]:
        case "settle":
            return f"{line['status']}: {line['reason']}"
        case "retry":
            return f"attempt {line['attempt']} {line.get('status', 'error')}, retried: {line['reason']}"
        case "again":
            return f"attempt {line['attempt']} put back: {line['reason']}"
        case "switch":
            written = datetime.fromisoformat(line["at"]).timestamp()
            until = f" until {clock_time(line['until'], written)}" if line.get("until") else ""
            until += f" to {line['slots']} at once" if line.get("slots") else ""
            return f"{line['provider']} {line['to']}{until}: {line['reason']}".removesuffix(": ")
        case "open" | "grow":
            return f"{line['planned']} items planned"
        case "resume":
            changed = f"; changed since it was sealed: {', '.join(line['changed'])}" if line.get("changed") else ""
            only = "; only what failed is tried again" if line.get("only_failed") else ""
            return f"resumed by {line.get('host', '')}/{line.get('pid', 0)}{only}{changed}"
        case "warning" | "left":
            return str(line["reason"])
        case "close":
            return f"{line['status']}, exit {line['exit_code']}: {line['reason']}".removesuffix(": ")
        case _:
            said = [f"{name}: {value}" for name, value in line.items() if name not in _COMMON and value not in ("", [])]
            return ", ".join(said)
