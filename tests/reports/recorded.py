"""Records of dispatches whose every line and moment a test chooses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dispatch.scripted_lane import SEED
from trailblazer import schemas
from trailblazer.paths import Places, stamp
from trailblazer.record.folder import JOURNAL
from trailblazer.record.journal import Journal
from trailblazer.record.lines import (
    Closed,
    Line,
    Opened,
    Postponed,
    Resumed,
    Retried,
    Settled,
    Started,
    Switched,
    Warned,
)
from trailblazer.record.manifest import MANIFEST, Builder, Manifest, Resource
from trailblazer.record.standing import Standing

BEGIN = datetime(2026, 11, 20, 3, 17, tzinfo=UTC)
HOSTILE_ITEM = "</td><script>document.title='owned'</script>\u202egpj.\x1b[31m"
HOSTILE_REASON = "exit 3: <img src=x onerror=alert(1)> javascript:alert(2) ${{ 7*7 }} {% raw %}\x00"


def at(seconds: float) -> str:
    """Return a moment of the dispatch, as its journal writes it."""
    return (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_dispatch(places: Places, lines: Iterable[Line], *, begun: datetime = BEGIN, **changes: Any) -> Path:
    """Write the journal and the manifest of a dispatch, and return its folder. `changes` are fields of the manifest."""
    folder = places.dispatches / stamp(begun)
    folder.mkdir(parents=True)
    journal, standing = Journal(folder / JOURNAL), Standing()
    for line in lines:
        standing.follow(line, journal.append(line))
    manifest = Manifest(
        dispatch_ts=begun.isoformat().replace("+00:00", "Z"),
        seed=SEED,
        dispatch_id=folder.name,
        started_on=begun.isoformat().replace("+00:00", "Z"),
        builder=Builder("trailblazer", "elsewhere", 4242, 1, "boot"),
        parameters={"lane": "items"},
        traceparent=f"00-{'1' * 32}-{'2' * 16}-00",
        status="finished",
        finished_on=at(600),
        exit_code=0,
        counts=standing.counted(),
        usage=standing.usage,
        journal_head=journal.head,
        resume_with="trailblazer batch run --resume",
        retry_with="trailblazer batch run --retry-failed",
    )
    journal.close()
    manifest = dataclasses.replace(manifest, **changes)
    schemas.publish("dispatch_manifest", manifest.document(), folder / MANIFEST)
    return folder


def attempt(index: int, number: int, start: float, end: float, status: str = "success", **more: Any) -> list[Line]:
    """Return the two lines of an attempt that settles its item."""
    item, details = more.pop("item", f"item-{index}"), more.pop("details", {})
    folder = f"task_{index}/attempt_{number}"
    known = {"folder": folder, "duration_ms": 1000 * (end - start), "peak_memory_kib": 40_960}
    return [
        Started(item=item, index=index, attempt=number, at=at(start)),
        Settled(
            item=item, index=index, attempt=number, status=status, at=at(end), details={**known, **details}, **more
        ),
    ]


def small_dispatch(places: Places) -> Path:
    """Two items, both done."""
    lines: list[Line] = [Opened(dispatch="small", planned=2, host="here", pid=1, at=at(0))]
    lines += [*attempt(0, 1, 0, 1), *attempt(1, 1, 1, 3), Closed(status="finished", exit_code=0, at=at(3))]
    return write_dispatch(places, lines)


def rich_dispatch(places: Places) -> Path:
    """Thirty-eight items: failures, retries, a wait for a quota, a resume after an hour, hostile texts."""
    usage = {"costUSD": 0.02, "input_tokens": 900, "output_tokens": 100}
    claude, codex = {"provider": "claude"}, {"provider": "codex", "fallback": "claude unavailable: quota"}
    lines: list[Line] = [Opened(dispatch="rich", planned=38, host="here", pid=1, at=at(0))]
    for index in range(12):
        lines += attempt(index, 1, 4 * index, 4 * index + 3 + index / 4, usage=usage, details=claude)
    lines += [
        Started(item="item-12", index=12, attempt=1, at=at(50)),
        Retried(
            item="item-12",
            index=12,
            attempt=1,
            reason="exit 4: 503 from the model",
            after=2,
            usage=usage,
            provider="claude",
            at=at(55),
        ),
        *attempt(12, 2, 58, 62, usage=usage, details=claude),
        Switched(provider="claude", to="closed", reason="quota used up", until=BEGIN.timestamp() + 300, at=at(63)),
        Started(item="item-13", index=13, attempt=1, at=at(62)),
        Postponed(item="item-13", index=13, attempt=1, reason="claude: 429", provider="claude", at=at(64)),
        Switched(provider="claude", to="waiting", reason="quota used up", until=BEGIN.timestamp() + 120, at=at(65)),
        Switched(provider="claude", to="waited", reason="", at=at(120)),
        Switched(provider="codex", to="fallback", reason="fallback (claude unavailable: quota)", at=at(121)),
        Warned(reason="claims were not kept alive: the database did not answer", at=at(122)),
    ]
    for index in range(13, 30):
        lines += attempt(index, 2, 122 + index, 130 + index, usage=usage, details=codex)
    for index in range(30, 34):
        reason = f"exit 2: no host db-{index}"
        lines += attempt(index, 1, 160 + index, 165 + index, "error", reason=reason, usage=usage, details=codex)
    lines += attempt(34, 1, 200, 260, "timeout", reason="ended after 60 s", usage=usage, details=codex)
    lines += attempt(35, 1, 261, 262, "error", reason=HOSTILE_REASON, item=HOSTILE_ITEM, details=codex)
    lines += [
        Settled(
            item="item-36", index=36, attempt=0, status="skipped", reason="MISSING_CHUNKS", refusal="gate", at=at(263)
        )
    ]
    lines += [
        Resumed(unsealed=True, host="here", pid=2, at=at(4000)),
        *attempt(30, 2, 4001, 4002, usage=usage, details=claude),
    ]
    lines += [
        *attempt(37, 1, 4003, 4004, details={**claude, "diffstat": "3 files changed, 40 insertions(+)"}, usage=usage)
    ]
    lines += [Closed(status="finished", exit_code=6, reason="5 of 38 items failed", at=at(4010))]
    seed = dataclasses.replace(SEED, provider="claude,codex", workers=4, notes="after the move", runs_planned=38)
    before = dataclasses.replace(seed, workers=2, notes="")
    words = {"lane": "items", "words": {"max_cost_usd": 5, "retries": 1}}
    write_dispatch(
        places, lines[:1], begun=BEGIN - timedelta(days=1), seed=before, parameters={**words, "words": {"retries": 0}}
    )
    return write_dispatch(
        places, lines, seed=seed, parameters=words, exit_code=6, reason="5 of 38 items failed", finished_on=at(4010),
        resumes=(at(4000),), inputs=(Resource("items.ndjson", "list.txt", "a" * 64),),
    )  # fmt: skip


def large_dispatch(places: Places, planned: int, reason: str = "") -> Path:
    """As many items as asked for, one after the other, each failing with a long reason where one is given."""
    lines: list[Line] = [Opened(dispatch="large", planned=planned, host="here", pid=1, at=at(0))]
    for index in range(planned):
        status, why = ("error", f"{reason} {index}") if reason else ("success", "")
        lines += attempt(
            index,
            1,
            index / 100,
            index / 100 + 0.02,
            status,
            reason=why,
            item=f"https://example.org/catalogue/page/{index}",
        )
    lines.append(Closed(status="finished", exit_code=6 if reason else 0, at=at(planned / 100 + 1)))
    return write_dispatch(places, lines, exit_code=6 if reason else 0)
