"""Reads the folders of all dispatches into one history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from trailblazer.errors import Trouble
from trailblazer.paths import Places, timestamp
from trailblazer.plain import one_line
from trailblazer.record.folder import JOURNAL, dispatch_folders
from trailblazer.record.journal import read_fields
from trailblazer.record.manifest import RUNNING, Manifest, read_manifest
from trailblazer.record.outcomes import FAILED, GOOD
from trailblazer.reports.course.causes import alike
from trailblazer.reports.course.rows import cost_of
from trailblazer.reports.history.model import History, LastGood, Past, Recurring, Stuck, Week
from trailblazer.reports.page.writing import PAGE

MOST_DISPATCHES = 1_000
MOST_JOURNALS = 60  # of the newest dispatches the causes are read
MOST_BYTES = 256 << 20  # a larger journal is not read
MOST_FAILURES = 10_000  # of one dispatch
ISSUES, UNAVAILABLE = "issues", "provider_unavailable"  # the lane that parks, and the failure that does not count
LEAST_TIMES = 2  # a cause or an item that failed less often is not shown
MOST_SHOWN = 50


class _Failure(NamedTuple):
    """How an item failed; `is_worked`: a provider worked on it, and the failure counts for parking (nightly)."""

    status: str
    reason: str
    is_worked: bool


class _Ended(NamedTuple):
    """What the journal of one dispatch says of its items: the failed ones by id, and those that were good."""

    failed: dict[str, _Failure]
    good: frozenset[str]


def read_history(places: Places, park_after: int) -> History:
    """Return the history of a project. A folder that cannot be read is named in `left_out`.

    An issue is parked after so many failures in a row (gates.park_after); 0 is never.
    """
    past: list[Past] = []
    left_out: list[str] = []
    folders = dispatch_folders(places)[-MOST_DISPATCHES:]
    journals = folders[-MOST_JOURNALS:]
    recurring: dict[tuple[str, str], list[Recurring]] = {}
    stuck: dict[tuple[str, str], Stuck] = {}
    for folder in folders:
        try:
            one = _past(folder, read_manifest(folder))
            ended = _read_journal(folder / JOURNAL, stuck, one.lane) if folder in journals else None
        except (Trouble, OSError, LookupError, TypeError) as error:
            left_out.append(f"{folder.name}: {one_line(str(error), 200)}")
            continue
        past.append(one)
        if ended is not None:
            _note_causes(recurring, one, ended)
            _note_items(stuck, one, ended)
    return History(
        dispatches=tuple(reversed(past)),
        last_good=_last_good(past),
        weeks=_weeks(past),
        recurring=_ranked_causes(recurring),
        stuck=_ranked_items(stuck.values(), park_after),
        unread=max(0, len(folders) - len(journals)),
        left_out=tuple(left_out),
        made_at=timestamp(),
    )


def _past(folder: Path, manifest: Manifest) -> Past:
    counts, seed = manifest.counts, manifest.seed
    ended = manifest.finished_on or (timestamp() if manifest.status == RUNNING else manifest.started_on)
    page = folder / PAGE
    return Past(
        folder.name, manifest.lane, manifest.started_on, max(0.0, _epoch(ended) - _epoch(manifest.started_on)),
        "lost" if manifest.is_lost else manifest.status, manifest.exit_code, manifest.reason,
        counts.get("planned", seed.runs_planned), counts.get("success", 0) + counts.get("unchanged", 0),
        counts.get("error", 0) + counts.get("timeout", 0), counts.get("skipped", 0),
        float(cost_of(manifest.usage) or 0), seed.notes, page.resolve().as_uri() if page.is_file() else "",
        manifest.retry_command,
    )  # fmt: skip


def _read_journal(journal: Path, stuck: dict[tuple[str, str], Stuck], lane: str) -> _Ended:
    """Return the items that failed, and of those that failed before the ones that are good now."""
    failed: dict[str, _Failure] = {}
    good: set[str] = set()
    if journal.stat().st_size > MOST_BYTES:
        return _Ended({}, frozenset())
    for _, line in read_fields(journal):
        if line["kind"] == "settle":
            item, status = line["item"], line["status"]
            failed.pop(item, None)
            if status in FAILED and len(failed) < MOST_FAILURES:
                is_worked = bool(line.get("provider")) and line.get("code") != UNAVAILABLE
                failed[item] = _Failure(status, line["reason"], is_worked)
            elif status in GOOD and (lane, item) in stuck:
                good.add(item)
    return _Ended(failed, frozenset(good))


def _note_causes(recurring: dict[tuple[str, str], list[Recurring]], one: Past, ended: _Ended) -> None:
    alike_here: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for status, reason, _ in ended.failed.values():
        key = one.lane, alike(status, reason)
        alike_here[key] += 1
        first.setdefault(key, f"{status}: {reason}")
    for key, items in alike_here.items():
        recurring.setdefault(key, []).append(Recurring(one.lane, first[key], 1, items, one.id))


def _note_items(stuck: dict[tuple[str, str], Stuck], one: Past, ended: _Ended) -> None:
    for item in ended.good:
        stuck.pop((one.lane, item), None)
    for item, (status, reason, is_worked) in ended.failed.items():
        times, worked = (before.times, before.worked) if (before := stuck.get((one.lane, item))) else (0, 0)
        stuck[one.lane, item] = Stuck(one.lane, item, times + 1, f"{status}: {reason}", one.id, worked + is_worked)


def _ranked_causes(recurring: dict[tuple[str, str], list[Recurring]]) -> tuple[Recurring, ...]:
    whole = [
        Recurring(seen[-1].lane, seen[-1].reason, len(seen), sum(one.items for one in seen), seen[-1].newest)
        for seen in recurring.values()
        if len(seen) >= LEAST_TIMES
    ]
    return tuple(sorted(whole, key=lambda one: (-one.dispatches, -one.items))[:MOST_SHOWN])


def _ranked_items(stuck: Iterable[Stuck], park_after: int) -> tuple[Stuck, ...]:
    known = [one._replace(is_parked=one.lane == ISSUES and 0 < park_after <= one.worked) for one in stuck]
    often = [one for one in known if one.times >= LEAST_TIMES or one.is_parked]
    return tuple(sorted(often, key=lambda one: (not one.is_parked, -one.times, one.item))[:MOST_SHOWN])


def _last_good(past: Sequence[Past]) -> tuple[LastGood, ...]:
    now, newest = datetime.now(UTC).timestamp(), dict[str, LastGood]()
    for one in past:
        if one.exit_code == 0:
            newest[one.lane] = LastGood(one.lane, one.id, max(0.0, now - _epoch(one.started_on) - one.seconds))
        else:
            newest.setdefault(one.lane, LastGood(one.lane, "", None))
    return tuple(newest[lane] for lane in sorted(newest))


def _weeks(past: Sequence[Past]) -> tuple[Week, ...]:
    weeks: dict[str, Week] = {}
    for one in past:
        year, number, _ = datetime.fromisoformat(one.started_on).isocalendar()
        name = f"{year}-W{number:02d}"
        before = weeks.get(name, Week(name, 0, 0, 0.0))
        is_bad = one.exit_code not in {0, None}
        weeks[name] = Week(name, before.dispatches + 1, before.failed + is_bad, before.cost_usd + one.cost_usd)
    return tuple(reversed(weeks.values()))


def _epoch(at: str) -> float:
    moment = datetime.fromisoformat(at)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
