"""Reads the journal and the manifest of a dispatch into one report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from trailblazer.atomic import digest_of
from trailblazer.errors import DocumentInvalid, Trouble
from trailblazer.paths import read_stamp, timestamp
from trailblazer.record.folder import JOURNAL
from trailblazer.record.journal import read_fields
from trailblazer.record.manifest import RUNNING, Manifest, read_manifest
from trailblazer.record.outcomes import FAILED, GOOD, Status
from trailblazer.record.proof import SEAL
from trailblazer.reports.course.durations import durations_of
from trailblazer.reports.course.following import FAILED_CODES, GOOD_CODES, Following
from trailblazer.reports.course.model import Course, Report, Retried, Row, Silence, Timeline, Underway
from trailblazer.reports.course.rows import choose, is_heavy, read_rows

MOST_ROWS = 2_000
MOST_BEFORE = 30  # folders that are looked at for the dispatch before
_REFUSED = frozenset(Status) - GOOD - FAILED


def read_report(folder: Path, most_rows: int = MOST_ROWS) -> Report:
    """Return what the record of a dispatch tells, whether it runs or has ended; a damaged one is DocumentInvalid.

    With more items than `most_rows` it has a choice of them.
    """
    manifest = read_manifest(folder)
    is_running = manifest.status == RUNNING and not manifest.is_lost
    course = read_course(folder / JOURNAL, is_running=is_running, most_rows=most_rows)
    return Report(folder, manifest, course, timestamp(), _before(folder, manifest), _seal_of(folder))


def read_course(journal: Path, *, is_running: bool, most_rows: int = MOST_ROWS) -> Course:
    """Return what a journal tells, read once. A journal that no dispatch writes is DocumentInvalid."""
    following = Following()
    try:
        for place, line in read_fields(journal):
            following.follow(place, line)
        return _course(following, journal, most_rows, is_running=is_running)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        hint = "`trailblazer verify` says where it was changed."
        raise DocumentInvalid(f"{journal} holds lines that no dispatch writes", hint) from error


def _course(following: Following, journal: Path, most_rows: int, *, is_running: bool) -> Course:
    if is_running:
        following.clock.moment(timestamp())
    else:
        following.slots.end_all(following.clock.now, "cancelled")
    following.end_wait()
    rows = _rows(following, journal, most_rows)
    if most_rows <= MOST_ROWS and is_heavy(rows):
        rows = _rows(following, journal, 0)
    counts = {status.value: following.codes.count(code) for code, status in enumerate(Status, start=1)}
    unrun = following.codes.count(0)
    shown = (*following.first, *following.last)
    return Course(
        counts={"planned": following.planned, **counts, "unrun": unrun},
        attempts=following.lines["start"],
        causes=following.causes.ranked(FAILED),
        refusals=following.causes.ranked(_REFUSED),
        providers=tuple(following.tallies.of.items()),
        usage=dict(sorted(following.usage.items())),
        wasted=dict(sorted(following.wasted.items())),
        processes=tuple(following.processes),
        underway=_underway(following),
        timeline=_timeline(following),
        durations=durations_of(following.seconds),
        silence=_silence(following, is_running=is_running),
        retried=tuple(
            Retried(following.names[index], index, tuple(tries)) for index, tries in following.tries_of.items()
        ),
        retried_in_all=following.retried_in_all,
        switches=tuple(following.switches),
        events=shown,
        events_left_out=following.events - len(shown),
        lines=dict(following.lines),
        rows=rows,
        rows_left_out=following.planned - unrun - len(rows),
        last_at=following.last_at,
    )


def _rows(following: Following, journal: Path, most: int) -> tuple[Row, ...]:
    indices = choose(following.codes, following.seconds, FAILED_CODES, GOOD_CODES, most)
    return tuple(read_rows(journal, indices, following.places, following.attempts, following.seconds))


def _underway(following: Following) -> tuple[Underway, ...]:
    return tuple(
        Underway(one.item, index, one.attempt, one.at, one.start) for index, one in following.slots.open.items()
    )


def _silence(following: Following, *, is_running: bool) -> Silence:
    """Return the longest silence; that of this moment may be it."""
    quiet = following.clock.now - following.quiet
    if is_running and following.slots.open and quiet > following.silence.seconds:
        items = tuple(one.item for one in list(following.slots.open.values())[:3])
        return Silence(quiet, following.quiet_at, items)
    return following.silence


def _timeline(following: Following) -> Timeline:
    now, columns, slots = following.clock.now, following.columns, following.slots
    used = columns.used(now)
    for one in slots.open.values():
        columns.spread(one.start, now, "busy")
    width = columns.width
    return Timeline(
        seconds=now,
        width=width,
        busy=tuple(amount / width for amount in columns.of("busy", used)),
        settled=columns.of("settled", used),
        failed=columns.of("failed", used),
        waited=tuple(amount / width for amount in columns.of("waited", used)),
        cost=columns.of("cost", used),
        slots=slots.letters(used),
        most_slots=slots.most,
        bars=slots.bars(now),
        limits=tuple(following.limits),
    )


def _before(folder: Path, manifest: Manifest) -> Manifest | None:
    """Return the manifest of the dispatch of the same lane before this one, among the nearest folders; else None."""
    own = read_stamp(folder.name)
    if own is None:
        return None
    moments = {other: read_stamp(other.name) for other in folder.parent.iterdir() if other.name != folder.name}
    earlier = [(moment, other.name, other) for other, moment in moments.items() if moment and moment <= own]
    for _, _, other in sorted(earlier, reverse=True)[:MOST_BEFORE]:
        try:
            found = read_manifest(other)
        except Trouble:
            continue
        is_earlier = _moment(found.started_on) < _moment(manifest.started_on)
        if found.lane == manifest.lane and is_earlier:
            return found
    return None


def _moment(at: str) -> datetime:
    moment = datetime.fromisoformat(at)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seal_of(folder: Path) -> str:
    try:
        return digest_of(folder / SEAL, follow_links=False) if (folder / SEAL).is_file() else ""
    except Trouble:
        return ""
