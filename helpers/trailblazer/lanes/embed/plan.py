"""Which plan a dispatch works from, and which items it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trailblazer.errors import GateClosed, PlanUnusable
from trailblazer.lanes.embed.reasons import group_reasons, without_codes
from trailblazer.paths import Places, are_ids, is_id, read_stamp
from trailblazer.schemas import read_moment

_LINE = re.compile(r"(?:\S*/)?runs/([^/\s]+)/?$")
_COUNT = re.compile(r":\d+$")
BLOCKED = "blocked.txt"
MOST_REASONS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """An ordered list of item ids, and where it came from.

    `source` is the words for people; `file` the list that was read, None when it came from the database; `bundle` the
    plan-preflight folder around it.
    """

    source: str
    file: Path | None
    items: list[str]
    bundle: Path | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says about the plan; None where it says nothing. `waiting` is the backlog, if asked for."""

    bundle: Path | None = None
    file: Path | None = None
    plan: str | None = None
    waiting: Sequence[str] | None = None


def choose_plan(asked: Asked, places: Places) -> Plan:
    """Return the plan that was asked for, else the newest ready bundle, else var/temp_runs_to_embed.txt (E2).

    A plan that was named and does not exist, or holds no item, is refused with PlanUnusable (exit 4):
    an empty dispatch hides a broken planner.
    """
    if asked.waiting is not None:
        return Plan("backlog", None, list(asked.waiting))
    if asked.bundle is not None:
        return _from_bundle(asked.bundle, "bundle")
    if asked.file is not None:
        return _from_file(asked.file)
    if asked.plan is not None and asked.plan != "latest":
        return _from_path(Path(asked.plan))
    newest = newest_bundle(places)
    if newest is not None:
        return _from_bundle(newest, "newest bundle")
    fallback = places.var / "temp_runs_to_embed.txt"
    if asked.plan is None and fallback.is_file():
        return _from_file(fallback)
    raise PlanUnusable(
        f"no plan: {places.bundles} holds no bundle with a ready.txt"
        + ("" if asked.plan else f" and there is no {fallback}"),
        "Make one with `trailblazer embed plan-preflight`, or name one: plan=PATH.",
    )


def newest_bundle(places: Places) -> Path | None:
    """Return the newest bundle in var/plan_preflight that has a ready.txt, or None."""
    if not places.bundles.is_dir():
        return None
    found = [
        (moment, folder.name, folder)
        for folder in places.bundles.iterdir()
        if (folder / "ready.txt").is_file() and (moment := made_at(folder)) is not None
    ]
    return max(found)[2] if found else None


def made_at(folder: Path) -> datetime | None:
    """Return when a bundle was made: by its plan_preflight.json, else by its name; None when neither says it."""
    if folder.name.startswith("."):
        return None
    return read_moment(folder / "plan_preflight.json", "timestamp") or read_stamp(folder.name)


def read_items(file: Path) -> list[str]:
    """Return the item ids of a plan file, each once, sorted (E3).

    `RID`, `RID:chunk_count` and `var/runs/RID` all mean RID; blank lines and `#` comments are nothing.
    A line that is none of these is refused with PlanUnusable, naming file and line.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PlanUnusable(f"cannot read the plan {file}: {error.strerror}", "Look at that path.") from error
    except UnicodeDecodeError as error:
        raise PlanUnusable(f"the plan {file} is not text in UTF-8", "A plan holds one run id a line.") from error
    lines = text.split("\n")
    return sorted(set(lines) - {""} if are_ids(text) else _ids(lines, file))


def _ids(lines: Iterable[str], file: Path) -> set[str]:
    known: set[str] = set()
    for number, line in enumerate(lines, start=1):
        entry = line.split("#", 1)[0].strip()
        if not entry or entry in known:
            continue
        rid = entry if is_id(entry) else _run_in(entry)
        if not rid:
            raise PlanUnusable(
                f"{file}:{number}: {entry!r} is not a run id",
                "A line is RID, RID:chunk_count or var/runs/RID; an id has no '/' and no '..'.",
            )
        known.add(rid)
    return known


def _run_in(entry: str) -> str:
    """Return the run that an entry means with a path before it or a count behind it; empty when it means none."""
    found = _LINE.fullmatch(entry)
    rid = found[1] if found else entry
    rid = rid if is_id(rid) else _COUNT.sub("", rid)
    return rid if is_id(rid) else ""


def _from_path(path: Path) -> Plan:
    if path.is_dir():
        return _from_bundle(path, "bundle")
    if path.name == "ready.txt" and (path.parent / "plan_preflight.json").is_file():
        return _from_bundle(path.parent, "bundle")
    return _from_file(path)


def _from_bundle(folder: Path, kind: str) -> Plan:
    if not folder.is_dir():
        raise PlanUnusable(f"there is no bundle at {folder}", "Name a folder of var/plan_preflight, or plan=latest.")
    ready = folder / "ready.txt"
    if not ready.is_file():
        raise PlanUnusable(
            f"the bundle {folder} has no ready.txt", "Make a new one with `trailblazer embed plan-preflight`."
        )
    items = read_items(ready)
    if not items and (folder / BLOCKED).is_file():
        _refuse_blocked(folder)
    return Plan(f"{kind} {folder.name}", ready, _some(items, ready), folder)


def blocked_of(folder: Path) -> list[tuple[str, str]]:
    """Return the blocked runs of a bundle, each with its reason."""
    lines = (folder / BLOCKED).read_text("utf-8", "replace").split("\n")
    pairs = [line.partition(" # ") for line in lines if line.strip()]
    return [(run.rpartition("/")[2], reason) for run, _, reason in pairs]


def _refuse_blocked(folder: Path) -> None:
    """Refuse a bundle in which every run is blocked, with each reason once (exit 5)."""
    pairs = blocked_of(folder)
    groups = group_reasons((run, without_codes(reason)) for run, reason in pairs)
    if not groups:
        return
    whys = [why if len(groups) == 1 else f"{why} ({len(runs)})" for why, runs in groups.items()]
    runs = f"{len(pairs)} run was" if len(pairs) == 1 else f"{len(pairs)} runs were"
    raise GateClosed(
        f"0 of {runs} ready: {'; '.join(whys[:MOST_REASONS])}",
        f"Mend that, then: trailblazer embed plan-preflight. All of it: {folder / BLOCKED}",
    )


def _from_file(file: Path) -> Plan:
    if not file.is_file():
        raise PlanUnusable(f"there is no plan at {file}", "Name a bundle folder, a ready.txt or a list of run ids.")
    return Plan(f"file {file}", file, _some(read_items(file), file))


def _some(items: list[str], file: Path) -> list[str]:
    if not items:
        raise PlanUnusable(f"the plan {file} holds no run id", "A plan holds one run id a line.")
    return items
